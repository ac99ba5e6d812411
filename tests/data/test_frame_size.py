import pytest
import torch

from lightly_marlin.data.frame_size import fit_frames


def make_videos(size):
    return torch.randint(0, 256, (2, 3, 16, size, size), dtype=torch.uint8)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_fit_frames__larger_frames(dtype):
    large = make_videos(64)
    large = large if dtype == torch.uint8 else large / 255
    small = fit_frames(large, 32)
    assert small.shape == (2, 3, 16, 32, 32)
    assert small.dtype == dtype
    # Away from the borders, a filter of a triangle over four pixels.
    weights = torch.tensor([1.0, 3, 3, 1]) / 8
    patch = large[0, 0, 0, 9:13, 19:23].float()
    expected = weights @ patch @ weights
    tolerance = 0.51 if dtype == torch.uint8 else 1e-5
    assert abs(float(small[0, 0, 0, 5, 10]) - float(expected)) < tolerance


def test_fit_frames__fitting_frames_stay():
    clips = make_videos(32)
    assert fit_frames(clips, 32) is clips


def test_fit_frames__one_clip_equals_a_batch():
    videos = make_videos(64)
    assert torch.equal(fit_frames(videos[1], 32), fit_frames(videos, 32)[1])


def test_fit_frames__bytes_are_within_a_level_of_numbers():
    generator = torch.Generator().manual_seed(0)
    # As a decoder lays it out.
    decoded = torch.randint(
        0, 256, (5, 96, 72, 3), dtype=torch.uint8, generator=generator
    )
    for videos in (decoded.permute(3, 0, 1, 2), decoded.permute(3, 0, 1, 2).clone()):
        small = fit_frames(videos, 40)
        assert small.is_contiguous()
        exact = fit_frames(videos.float(), 40)
        assert (small - exact).abs().max() <= 1
