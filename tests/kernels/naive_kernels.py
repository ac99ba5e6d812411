"""Slow transcriptions that share nothing with the code under test, and test inputs."""

import math

import torch

from lightly_marlin.kernels.triton_language import INTERPRETED


def naive_tubelet(video, token, tubelet_size, patch_size, layout="c t h w"):
    """Pixels of one token of a clip (C, T, H, W), one by one, as Python floats."""
    channels, _, height, width = video.shape
    rows, columns = height // patch_size, width // patch_size
    t, h, w = (
        token // (rows * columns),
        (token // columns) % rows,
        token % columns,
    )
    scale = 255 if video.dtype == torch.uint8 else 1
    pixels = {}
    for c in range(channels):
        for dt in range(tubelet_size):
            for dy in range(patch_size):
                for dx in range(patch_size):
                    place = (c, t * tubelet_size + dt, h * patch_size + dy)
                    value = video[(*place, w * patch_size + dx)].item() / scale
                    key = (c, dt, dy, dx) if layout == "c t h w" else (dt, dy, dx, c)
                    pixels[key] = value
    return [pixels[key] for key in sorted(pixels)]


def naive_tubelets(videos, idx, tubelet_size, patch_size, layout="c t h w"):
    return torch.tensor(
        [
            [
                naive_tubelet(video, token, tubelet_size, patch_size, layout)
                for token in tokens
            ]
            for video, tokens in zip(videos, idx.tolist(), strict=True)
        ],
        dtype=torch.float64,
    )


def naive_pixel_loss(difference, loss):
    if loss == "mse":
        return difference**2
    if loss == "l1":
        return abs(difference)
    return (
        0.5 * difference**2 if abs(difference) <= 1 else abs(difference) - 0.5
    )  # delta 1


def naive_loss(pred, videos, idx_mask, sizes, norm_pix, loss, weights=None):
    """Weighted mean over tokens of the mean over pixels, in Python floats."""
    targets = naive_tubelets(videos, idx_mask, *sizes).tolist()
    total = total_weight = 0.0
    for b, tokens in enumerate(pred.tolist()):
        for k, token in enumerate(tokens):
            target = targets[b][k]
            if norm_pix:
                mean = sum(target) / len(target)
                variance = sum((x - mean) ** 2 for x in target) / (len(target) - 1)
                target = [(x - mean) / math.sqrt(variance + 1e-6) for x in target]
            losses = [
                naive_pixel_loss(p - x, loss)
                for p, x in zip(token, target, strict=True)
            ]
            weight = 1.0 if weights is None else weights[b][k].item()
            total += weight * sum(losses) / len(losses)
            total_weight += weight
    return total / total_weight


def naive_motion_losses(pred, videos, idx_mask, sizes, norm_pix, loss, weights=None):
    """Weighted means over tokens of their two parts, in Python floats."""
    tubelet_size, patch_size = sizes
    targets = naive_tubelets(videos, idx_mask, *sizes).tolist()
    area, sums, total_weight = patch_size**2, [0.0, 0.0], 0.0
    for b, tokens in enumerate(pred.tolist()):
        for k, token in enumerate(tokens):
            pixels = targets[b][k]
            if norm_pix:
                mean = sum(pixels) / len(pixels)
                variance = sum((x - mean) ** 2 for x in pixels) / (len(pixels) - 1)
                pixels = [(x - mean) / math.sqrt(variance + 1e-6) for x in pixels]
            parts = [[], []]
            for place, (p, x) in enumerate(zip(token, pixels, strict=True)):
                frame = place // area % tubelet_size
                true = x - pixels[place - frame * area] if frame else x
                parts[bool(frame)].append(naive_pixel_loss(p - true, loss))
            weight = 1.0 if weights is None else weights[b][k].item()
            for part in (0, 1):
                sums[part] += weight * sum(parts[part]) / len(parts[part])
            total_weight += weight
    return [part / total_weight for part in sums]


def random_videos(shape, dtype=torch.uint8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    videos = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    return videos if dtype == torch.uint8 else (videos / 255).to(dtype)


def random_idx(batch_size, count, num_tokens, seed=0):
    """Distinct token numbers, ascending, other ones for every clip."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(batch_size, num_tokens, generator=generator).argsort(dim=1)
    return order[:, :count].sort(dim=1).values


def strided_copies(videos):
    """The same clips in other memory orders: none is contiguous."""
    doubled = videos.new_zeros((*videos.shape[:-1], 2 * videos.shape[-1]))
    doubled[..., ::2] = videos
    return {
        "time_first_channels_last": videos.permute(0, 2, 3, 4, 1)
        .contiguous()
        .permute(0, 4, 1, 2, 3),
        "time_before_channels": videos.transpose(1, 2).contiguous().transpose(1, 2),
        "every_other_pixel": doubled[..., ::2],
        "one_clip_for_all": videos[:1].expand_as(videos),
    }


def assert_rounds_to(actual, exact):
    """`actual` is `exact` rounded once to its dtype, bit for bit."""
    if INTERPRETED and actual.dtype == torch.bfloat16:
        # Triton's interpreter cuts off the bits that a GPU rounds.
        torch.testing.assert_close(actual.double(), exact.double(), rtol=2**-7, atol=0)
    else:
        torch.testing.assert_close(
            actual, exact.to(actual.dtype), rtol=0, atol=0, equal_nan=True
        )
