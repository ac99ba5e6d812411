import pytest
import torch

from lightly_marlin.lip_sync.networks.generator_tensors import (
    batch_as_clips,
    frames_as_batch,
    join_pictures,
    pixels_of,
)


def draw(frames=4, dtype=torch.float32, size=6):
    torch.manual_seed(0)
    pictures = torch.rand(2, 2, 3, frames, size, size)
    if dtype == torch.uint8:
        pictures = 255 * pictures
    return *pictures.to(dtype), torch.randn(2, frames, 1, 80, 16)


def join(masked, reference, mel, num_frames=4):
    return join_pictures(masked, reference, mel, num_frames, torch.float32)


def test_join_pictures__hides_the_mouth_of_the_target():
    masked, reference, mel = draw()
    joined = join(masked, reference, mel)
    assert joined.shape == (2, 6, 4, 6, 6)
    assert torch.equal(joined[:, :3, :, :3], masked[..., :3, :])
    assert not joined[:, :3, :, 3:].any()
    assert torch.equal(joined[:, 3:], reference)


def test_join_pictures__scales_uint8():
    masked, reference, mel = draw(dtype=torch.uint8)
    expected = join(masked / 255, reference / 255, mel)
    torch.testing.assert_close(join(masked, reference, mel), expected)


def test_join_pictures__any_number_of_frames():
    assert join(*draw(frames=7), None).shape[2] == 7


def test_frames_as_batch():
    clips = torch.arange(24).reshape(2, 3, 4, 1, 1)
    frames = frames_as_batch(clips)
    assert frames.shape == (8, 3, 1, 1)
    for b in range(2):
        for t in range(4):
            assert torch.equal(frames[4 * b + t], clips[b, :, t])
    assert torch.equal(batch_as_clips(frames, 4), clips)


def test_pixels_of__is_float32_at_least():
    logits = torch.tensor([-9.0, 0.0, 9.0])
    torch.testing.assert_close(pixels_of(logits), 1 / (1 + (-logits).exp()))
    assert pixels_of(logits.bfloat16()).dtype == torch.float32
    assert pixels_of(logits.double()).dtype == torch.float64


def test_join_pictures__errors():
    masked, reference, mel = draw()
    with pytest.raises(ValueError, match=r"masked .* \(B, 3, 16, H, W\)"):
        join(masked, reference, mel, 16)
    with pytest.raises(ValueError, match=r"reference .* \(B, 3, T, H, W\)"):
        join(masked, reference[0], mel, None)
    with pytest.raises(ValueError, match=r"dtype of masked \(torch.int64\)"):
        join(masked.long(), reference, mel)
    with pytest.raises(ValueError, match=r"reference must be in \[0, 1\]"):
        join(masked, 2 * reference, mel)
    with pytest.raises(ValueError, match="same shape and dtype"):
        join(masked, reference[:1], mel)
    with pytest.raises(ValueError, match="same shape and dtype"):
        join(masked, reference.double(), mel)
    for wrong in (mel[:, :3], mel[:1], mel[..., :15], mel[:, :, 0], mel.long()):
        with pytest.raises(ValueError, match=r"Invalid mel .* = \(2, 4, 1, 80, 16\)"):
            join(masked, reference, wrong)
