"""Inception of the FID: a transcription of its definition as oracle, and odd inputs."""

import copy
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lightly_marlin.lip_sync import FidInception
from lightly_marlin.utils.errors import UsageError


def unit(weights, name, x, stride=1, pad=True):
    """Convolution without bias, batch normalisation, ReLU."""
    kernel = weights[f"{name}.conv.weight"]
    padding = [k // 2 if pad else 0 for k in kernel.shape[2:]]
    x = F.conv2d(x, kernel, stride=stride, padding=padding)
    own = {n: weights[f"{name}.bn.{n}"] for n in ("running_mean", "running_var")}
    scale, shift = weights[f"{name}.bn.weight"], weights[f"{name}.bn.bias"]
    return F.relu(F.batch_norm(x, **own, weight=scale, bias=shift, eps=1e-3))


def chain(weights, block, x, *names, last_stride=1):
    for name in names:
        strided = last_stride == 2 and name == names[-1]
        x = unit(weights, f"{block}.{name}", x, 2 if strided else 1, not strided)
    return x


def neighbours(x):
    """Values (9, B, C, H, W) around each place, NaN outside."""
    padded = F.pad(x, (1, 1, 1, 1), value=torch.nan)
    height, width = x.shape[2:]
    places = itertools.product(range(3), repeat=2)
    return torch.stack([padded[..., i : i + height, j : j + width] for i, j in places])


def mean_pool(x):
    return neighbours(x).nanmean(0)


def max_pool(x):
    return neighbours(x).nan_to_num(-torch.inf).amax(0)


def block_a(w, name, x):
    branches = [
        chain(w, name, x, "branch1x1"),
        chain(w, name, x, "branch5x5_1", "branch5x5_2"),
        chain(w, name, x, *(f"branch3x3dbl_{i}" for i in (1, 2, 3))),
        chain(w, name, mean_pool(x), "branch_pool"),
    ]
    return torch.cat(branches, 1)


def block_b(w, name, x):
    threes = [f"branch3x3dbl_{i}" for i in (1, 2, 3)]
    branches = [
        chain(w, name, x, "branch3x3", last_stride=2),
        chain(w, name, x, *threes, last_stride=2),
        F.max_pool2d(x, 3, 2),
    ]
    return torch.cat(branches, 1)


def block_c(w, name, x):
    branches = [
        chain(w, name, x, "branch1x1"),
        chain(w, name, x, *(f"branch7x7_{i}" for i in (1, 2, 3))),
        chain(w, name, x, *(f"branch7x7dbl_{i}" for i in range(1, 6))),
        chain(w, name, mean_pool(x), "branch_pool"),
    ]
    return torch.cat(branches, 1)


def block_d(w, name, x):
    sevens = [f"branch7x7x3_{i}" for i in range(1, 5)]
    branches = [
        chain(w, name, x, "branch3x3_1", "branch3x3_2", last_stride=2),
        chain(w, name, x, *sevens, last_stride=2),
        F.max_pool2d(x, 3, 2),
    ]
    return torch.cat(branches, 1)


def block_e(w, name, x, pool):
    three = chain(w, name, x, "branch3x3_1")
    double = chain(w, name, x, "branch3x3dbl_1", "branch3x3dbl_2")
    branches = [
        chain(w, name, x, "branch1x1"),
        *(chain(w, name, three, f"branch3x3_2{s}") for s in "ab"),
        *(chain(w, name, double, f"branch3x3dbl_3{s}") for s in "ab"),
        chain(w, name, pool(x), "branch_pool"),
    ]
    return torch.cat(branches, 1)


def naive(w, images):
    """Features by their number, of images (B, 3, H, W) in [0, 1]."""
    found = {}
    x = F.interpolate(
        images, (299, 299), mode="bilinear", align_corners=False, antialias=False
    )
    x = unit(w, "Conv2d_1a_3x3", 2 * x - 1, stride=2, pad=False)
    x = unit(w, "Conv2d_2a_3x3", x, pad=False)
    x = F.max_pool2d(unit(w, "Conv2d_2b_3x3", x), 3, 2)
    found[64] = x
    x = unit(w, "Conv2d_3b_1x1", x)
    x = F.max_pool2d(unit(w, "Conv2d_4a_3x3", x, pad=False), 3, 2)
    found[192] = x
    for letter in "bcd":
        x = block_a(w, f"Mixed_5{letter}", x)
    x = block_b(w, "Mixed_6a", x)
    for letter in "bcde":
        x = block_c(w, f"Mixed_6{letter}", x)
    found[768] = x
    x = block_d(w, "Mixed_7a", x)
    x = block_e(w, "Mixed_7b", x, mean_pool)
    found[2048] = block_e(w, "Mixed_7c", x, max_pool)
    return {number: x.mean((2, 3)) for number, x in found.items()}


@pytest.fixture(scope="module")
def weights_file(inception_weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "pt_inception.pth"
    torch.save(inception_weights, path)
    return path


@pytest.fixture(scope="module")
def inception(weights_file):
    return FidInception.from_file(weights_file)


def images_of(count=2, size=96, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, size, size, generator=generator)


def test_form__is_the_published_one():
    weights = FidInception().state_dict()
    assert len(weights) == 566
    assert weights["fc.weight"].shape == (1008, 2048)
    assert weights["Mixed_7c.branch_pool.conv.weight"].shape == (192, 2048, 1, 1)


def test_features__equal_a_transcription(inception, inception_weights):
    images = images_of()
    network = copy.copy(inception)
    for number, expected in naive(inception_weights, images).items():
        network.num_features = number
        found = network(images)
        assert found.shape == (2, number)
        scale = float(expected.abs().max())
        assert scale > 0.1
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("number", [64, 192])
def test_from_file__earlier_features(weights_file, inception_weights, number):
    network = FidInception.from_file(weights_file, number)
    images = images_of(1, 32)
    assert network.num_features == number
    torch.testing.assert_close(
        network(images), naive(inception_weights, images)[number], rtol=1e-4, atol=1e-4
    )


def test_images__bytes_are_the_same_as_floats():
    network = FidInception(64)
    images = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (2, 3, 40, 30), dtype=np.uint8)
    )
    assert torch.equal(network(images), network(images / 255))


def test_inception__is_a_frozen_measure():
    network = FidInception(64)
    assert network.train() is network
    assert not any(module.training for module in network.modules())
    assert not any(p.requires_grad for p in network.parameters())
    assert network.double()(images_of(1, 32)).dtype == torch.float64


def test_num_features__others_are_named():
    with pytest.raises(ValueError, match=r"num_features \(1000\).* 64, 192, 768, 2048"):
        FidInception(1000)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 8, 8, 3), r"Invalid shape of images \(2, 8, 8, 3\)"),
        (torch.zeros(3, 8, 8), r"Invalid shape of images \(3, 8, 8\)"),
        (torch.zeros(0, 3, 8, 8), r"Invalid shape of images \(0, 3, 8, 8\)"),
        (torch.zeros(1, 3, 8, 8, dtype=int), "Invalid dtype of images torch.int64"),
        (torch.full((1, 3, 8, 8), 255.0), r"Invalid range of images \[255, 255\]"),
        (torch.full((1, 3, 8, 8), -0.5), r"Invalid range of images \[-0.5, -0.5\]"),
        (torch.full((1, 3, 8, 8), torch.nan), r"Invalid range of images \[nan, nan\]"),
    ],
)
def test_images__odd_ones_are_named(images, message):
    with pytest.raises(ValueError, match=message):
        FidInception(64)(images)


def test_from_file__another_network(tmp_path):
    torch.save({"encoder.weight": torch.ones(3)}, tmp_path / "other.pt")
    with pytest.raises(
        UsageError, match=r"as FidInception: .*published pt_inception-20"
    ):
        FidInception.from_file(tmp_path / "other.pt")
