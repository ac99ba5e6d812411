"""Times are those of the device alone, or of the host, as their names say."""

import time

import torch

from lightly_marlin.kernels.benchmarks import host, timing

CPU = torch.device("cpu")


def test_gpu_times(monkeypatch):
    """Before each call the cache is read, and the device spins while the host works."""
    log = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            log.append("record")

        def elapsed_time(self, end):
            return 0.25

    swept = torch.zeros(4)
    monkeypatch.setattr(swept, "sum", lambda: log.append("read"), raising=False)
    monkeypatch.setattr(timing.torch, "zeros", lambda *_, **__: swept)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: log.append("spin"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: log.append("wait"))
    times = timing._gpu_times(lambda: log.append("call"), CPU, 2)
    assert times == [250, 250]
    assert log == [*("read", "spin", "record", "call", "record") * 2, "wait"]


def test_copies_count_what_they_read_and_write(monkeypatch):
    sizes = []

    def measure(call, device, repeats):
        sizes.append(call().numel())
        return {"median_us": 2.0}

    monkeypatch.setattr(timing, "measure", measure)
    assert timing.copy_microseconds(CPU, 4000, 2) == 2
    assert timing.copy_bandwidth(CPU, 4000, 2) == 2
    assert sizes == [2000, 2000]


def test_wall_time_is_that_of_the_host_too():
    assert timing.wall_microseconds(lambda: time.sleep(0.002), 2) >= 2000


def test_host_costs(capsys):
    assert host.main(["--calls", "2", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("gather_tubelets", "masked_reconstruction_loss, with gradient"):
        assert any(name in line for line in lines)
