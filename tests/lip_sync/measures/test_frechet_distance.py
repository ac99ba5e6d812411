"""Distance of frames: Gaussians in closed form, the definition, and warnings."""

import warnings

import numpy as np
import pytest
import torch
from scipy import linalg
from torch import nn

from lightly_marlin.lip_sync import FidInception, feature_fid, frame_fid


class FirstValues(nn.Module):
    """Stands in for Inception: the first numbers of an image are its features."""

    def __init__(self, num_features):
        super().__init__()
        self.num_features = num_features

    def forward(self, images):
        return images.flatten(1)[:, : self.num_features]


def gaussian_sample(mean, covariance, count=200, seed=0):
    """Vectors with exactly this sample mean, and covariance over n - 1."""
    noise = np.random.default_rng(seed).standard_normal((count, len(mean)))
    noise -= noise.mean(0)
    own = np.linalg.cholesky(np.cov(noise, rowvar=False))
    wanted = np.linalg.cholesky(np.asarray(covariance, float))
    return torch.from_numpy(noise @ np.linalg.inv(own).T @ wanted.T + mean)


def distance(real, generated, inception=None):
    fid = frame_fid(inception or FirstValues(real.shape[1]))
    for features, is_real in ((real, True), (generated, False)):
        for batch in features.split(64):
            fid.update(batch, real=is_real)
    return float(fid.compute())


def naive(real, generated):
    """|m - n|^2 + tr(S + T - 2 (S T)^(1/2)), with covariances over n - 1."""
    real, generated = real.double().numpy(), generated.double().numpy()
    s, t = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    root = linalg.sqrtm(s @ t).real
    return float(
        np.sum((real.mean(0) - generated.mean(0)) ** 2) + np.trace(s + t - 2 * root)
    )


def test_distance__of_gaussians_in_closed_form():
    """Of independent ones: squared differences of means and of deviations."""
    real = gaussian_sample([0, 0, 0], np.diag([1.0, 4, 9]))
    generated = gaussian_sample([1, -2, 0.5], np.diag([4.0, 4, 1]), 300, seed=1)
    expected = (1 + 4 + 0.25) + (1 - 2) ** 2 + (2 - 2) ** 2 + (3 - 1) ** 2
    assert distance(real, generated) == pytest.approx(expected, abs=1e-4)
    assert distance(real, real) == pytest.approx(0, abs=1e-4)


def test_distance__equals_the_definition():
    random = np.random.default_rng(0)
    real, generated = (
        torch.from_numpy(
            random.standard_normal((90, 6)) @ random.standard_normal((6, 6))
        )
        for _ in range(2)
    )
    expected = naive(real, generated)
    assert expected > 1
    assert distance(real, generated) == pytest.approx(expected, abs=1e-4)


def test_distance__is_accumulated_in_float64():
    """In float32, the covariance of features far from zero would be lost."""
    real = gaussian_sample([1000.0, 1000], np.eye(2) / 100)
    generated = gaussian_sample([1000.0, 1000], np.eye(2) / 25, seed=1)
    assert distance(real, generated) == pytest.approx(2 * (0.2 - 0.1) ** 2, abs=1e-5)


def test_distance__of_images():
    """The network gets them as they are, and its features alone are compared."""
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    network = FidInception(64)
    expected = distance(network(images), network(images / 2))
    assert expected > 0
    assert distance(images, images / 2, network) == pytest.approx(expected, rel=1e-6)


def test_feature_fid__of_known_features_in_parts():
    real, generated = torch.rand(2, 60, 4, generator=torch.Generator().manual_seed(0))
    parts = (real.split(17), generated.split(9))
    assert feature_fid(*parts, 4) == pytest.approx(naive(real, generated), abs=1e-4)
    assert feature_fid(parts[0], parts[0], 4) == pytest.approx(0, abs=1e-5)


def test_compute__warns_of_fewer_images_than_features():
    real, generated = gaussian_sample([0.0] * 5, np.eye(5), 8), torch.rand(4, 5)
    with pytest.warns(
        UserWarning, match=r"^fid_5 of 4 images: fewer than 5, .*singular"
    ):
        distance(real, generated)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distance(real, real)


def test_metric_name__is_another_for_other_features():
    assert frame_fid(FirstValues(2048)).metric_name == "fid"
    assert frame_fid(FirstValues(768)).metric_name == "fid_768"


def test_compute__of_one_image():
    fid = frame_fid(FirstValues(3))
    fid.update(torch.rand(1, 3), real=True)
    fid.update(torch.rand(2, 3), real=False)
    with pytest.raises(RuntimeError, match="More than one sample"):
        fid.compute()


def test_feature_fid__needs_two_images():
    features = torch.rand(3, 4)
    with pytest.raises(ValueError, match="needs two images of either kind, got 1"):
        feature_fid([features], [features[:1]], 4)
