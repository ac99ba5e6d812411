import pytest
import torch

from lightly_marlin.training import device_prefetch
from lightly_marlin.training.device_prefetch import DevicePrefetcher, default_workers

CPU = torch.device("cpu")


def test_prefetcher__batches_in_order_and_one_ahead():
    read = []

    def loader():
        for number in range(4):
            read.append(number)
            yield {"video": torch.full((2,), number), "track_id": ["a", "b"]}

    seen = []
    for batch in DevicePrefetcher(loader(), CPU):
        seen.append((int(batch["video"][0]), list(read)))
        assert batch["track_id"] == ["a", "b"]
    assert seen == [
        (0, [0, 1]),
        (1, [0, 1, 2]),
        (2, [0, 1, 2, 3]),
        (3, [0, 1, 2, 3]),
    ]


def test_prefetcher__empty_and_again():
    assert list(DevicePrefetcher([], CPU)) == []
    batches = DevicePrefetcher([{"x": torch.zeros(1)}], CPU)
    assert len(list(batches)) == len(list(batches)) == 1


def test_prefetcher__errors_of_the_loader_reach_the_caller():
    def loader():
        yield {"x": torch.zeros(1)}
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(DevicePrefetcher(loader(), CPU))


@pytest.mark.parametrize(
    ("kind", "cores", "devices", "expected"),
    [("cpu", 64, 1, 2), ("cuda", 16, 1, 12), ("cuda", 8, 1, 6), ("cuda", 8, 4, 2)],
)
def test_default_workers(kind, cores, devices, expected, monkeypatch):
    monkeypatch.setattr(device_prefetch, "available_cores", lambda: cores)
    assert default_workers(torch.device(kind), devices) == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")
def test_prefetcher__on_a_gpu():
    batches = [{"x": torch.full((1000, 1000), n).pin_memory()} for n in range(5)]
    sums = [
        int((batch["x"] + batch["x"]).sum())
        for batch in DevicePrefetcher(batches, torch.device("cuda"))
    ]
    assert sums == [2_000_000 * n for n in range(5)]
