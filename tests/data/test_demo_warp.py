import torch

from lightly_marlin.data.demo_warp import warp_points


def _points(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, count, 2, generator=generator, dtype=torch.float64)


def test_origins_land_on_their_targets():
    origins, targets = _points(12), _points(12, seed=1)
    warped = warp_points(origins, origins, targets, smoothing=0.0)
    torch.testing.assert_close(warped, targets)


def test_affine_maps_are_exact_everywhere_whatever_the_smoothing():
    origins, points = _points(9), 5 * _points(30, seed=2)
    matrix = torch.tensor([[1.1, 0.2], [-0.3, 0.8]], dtype=torch.float64)
    targets = origins @ matrix + 0.7
    warped = warp_points(points, origins, targets, smoothing=0.1)
    torch.testing.assert_close(warped, points @ matrix + 0.7)


def test_points_that_nearly_meet_stay_finite():
    origins = _points(10)
    origins[:, 1] = origins[:, 0] + 1e-3
    targets = origins.clone()
    targets[:, 1, 1] += 0.05
    warped = warp_points(_points(50, seed=3), origins, targets, smoothing=1e-3)
    assert warped.abs().max() < 2


def test_smoothing_bends_less():
    origins, points = _points(12), _points(40, seed=4)
    targets = origins.clone()
    targets[:, 0] += 0.3
    sharp = warp_points(points, origins, targets, smoothing=0.0)
    soft = warp_points(points, origins, targets, smoothing=1.0)
    assert (soft - points).abs().mean() < (sharp - points).abs().mean()
