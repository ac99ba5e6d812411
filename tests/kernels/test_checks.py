import pytest
import torch

from lightly_marlin.kernels import (
    checks,
    gather_tokens,
    gather_tubelets,
    masked_reconstruction_loss,
)


def _check(idx):
    checks.check_indices(
        "idx", idx, batch_size=1, num_tokens=4, device=torch.device(idx.device)
    )


def test_index_values_on_cpu():
    _check(torch.tensor([[0, 3]]))
    with pytest.raises(ValueError, match=r"\[0, 4\), got values in \[0, 4\]"):
        _check(torch.tensor([[0, 4]]))


def test_values_off_the_cpu_are_not_read():
    """A meta tensor has no values, so reading them would fail."""
    _check(torch.empty(1, 2, dtype=torch.int64, device="meta"))


@pytest.mark.parametrize(("value", "read"), [("1", True), ("0", False), (None, False)])
def test_debug_variable(monkeypatch, value, read):
    monkeypatch.delenv("LIGHTLY_MARLIN_DEBUG", raising=False)
    if value is not None:
        monkeypatch.setenv("LIGHTLY_MARLIN_DEBUG", value)

    class OnCuda:
        """What the check asks of a tensor on a GPU."""

        device = torch.device("cuda")
        is_cuda = True

        def numel(self):
            return 2

    assert checks._values_are_free_to_read(OnCuda()) is read


def test_other_device():
    with pytest.raises(ValueError, match=r"idx must be on cpu .*, got meta"):
        gather_tokens(
            torch.zeros(1, 4, 2), torch.empty(1, 2, dtype=torch.int64, device="meta")
        )


@pytest.mark.parametrize("values", [-0.5, 1.5, 255.0, float("nan")])
def test_floating_videos_out_of_range(values):
    videos = torch.full((1, 3, 2, 16, 16), values)
    with pytest.raises(ValueError, match=r"videos must be in \[0, 1\], got values in"):
        gather_tubelets(videos, torch.zeros(1, 1, dtype=torch.int64))


def test_floating_videos_may_round_a_little():
    videos = torch.full((1, 3, 2, 16, 16), 1.005)
    assert gather_tubelets(videos, torch.zeros(1, 1, dtype=torch.int64)).numel()


def test_negative_weights():
    videos, idx = torch.rand(1, 3, 2, 16, 16), torch.zeros(1, 1, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"weights must be in \[0, inf\]"):
        masked_reconstruction_loss(
            torch.zeros(1, 1, 1536), videos, idx, weights=torch.tensor([[-1.0]])
        )
