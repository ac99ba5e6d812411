import pytest
import torch

from lightly_marlin.lip_sync.networks.lower_half import lower_half, mask_lower_half


@pytest.mark.parametrize(("height", "first"), [(96, 48), (5, 2), (1, 0)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_mask_lower_half(height, first, dtype):
    frames = torch.ones(2, 3, 4, height, 7, dtype=dtype)
    masked = mask_lower_half(frames)
    assert masked.dtype == dtype
    assert (masked[..., :first, :] == 1).all()
    assert (masked[..., first:, :] == 0).all()
    assert (frames == 1).all()


def test_mask_lower_half__gradient_of_what_is_seen():
    frames = torch.ones(1, 3, 1, 4, 4, requires_grad=True)
    mask_lower_half(frames).sum().backward()
    assert torch.equal(frames.grad, mask_lower_half(torch.ones(1, 3, 1, 4, 4)))


def test_lower_half():
    rows = torch.arange(5)[:, None].expand(5, 2)
    assert lower_half(rows)[:, 0].tolist() == [2, 3, 4]
    assert lower_half(rows[:4])[:, 0].tolist() == [2, 3]
