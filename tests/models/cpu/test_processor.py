import platform

import pytest

from lightly_marlin.models.cpu import processor

ask = processor.processor_vendor
CPUINFO = "processor\t: 0\nvendor_id\t: {}\ncpu family\t: 25\nvendor_id\t: second\n"


@pytest.fixture(autouse=True)
def _ask_anew(monkeypatch):
    monkeypatch.setattr(processor, "processor_vendor", ask)
    ask.cache_clear()
    yield
    ask.cache_clear()


@pytest.mark.parametrize(
    ("text", "vendor_name", "faster"),
    [
        (CPUINFO.format("AuthenticAMD"), "AuthenticAMD", True),
        (CPUINFO.format("GenuineIntel"), "GenuineIntel", False),
        (CPUINFO.format("HygonGenuine"), "HygonGenuine", False),
        ("processor\t: 0\nCPU implementer\t: 0x41\n", "", False),
        ("", "", False),
    ],
)
def test_linux(text, vendor_name, faster, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    assert processor.processor_vendor() == vendor_name
    assert processor.onednn_is_faster() is faster


@pytest.mark.parametrize(
    ("name", "faster"),
    [
        ("AMD64 Family 25 Model 17 Stepping 1, AuthenticAMD", True),
        ("Intel64 Family 6 Model 85 Stepping 7, GenuineIntel", False),
        ("arm", False),
        ("", False),
    ],
)
def test_elsewhere(name, faster, tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "nothing")
    monkeypatch.setattr(platform, "processor", lambda: name)
    assert processor.onednn_is_faster() is faster


def test_it_is_asked_once(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(CPUINFO.format("AuthenticAMD"))
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    assert processor.onednn_is_faster()
    (tmp_path / "cpuinfo").unlink()
    assert processor.onednn_is_faster()
