"""SyncNet: its form, a transcription window by window as oracle, and odd inputs."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lightly_marlin.audio import mfcc
from lightly_marlin.lip_sync import SyncNet
from lightly_marlin.lip_sync.measures.syncnet import check_frames
from lightly_marlin.utils.errors import UsageError

# Place of the convolution, its strides and padding; kernel, stride and padding of the
# pooling that follows.
LIPS = (
    (0, (1, 2, 2), 0, (3, 2, 0)),
    (4, (1, 2, 2), (0, 1, 1), (3, 2, 1)),
    (8, 1, (0, 1, 1), None),
    (11, 1, (0, 1, 1), None),
    (14, 1, (0, 1, 1), (3, 2, 0)),
    (18, 1, 0, None),
)
SOUND = (
    (0, 1, 1, (1, 1, 0)),
    (4, 1, 1, (3, (1, 2), 0)),
    (8, 1, 1, None),
    (11, 1, 1, None),
    (14, 1, 1, (3, 2, 0)),
    (18, 1, 0, None),
)


def normalised(weights, name, x):
    statistics = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    return F.batch_norm(
        x, *statistics, weights[f"{name}.weight"], weights[f"{name}.bias"]
    )


def naive(weights, kind, x):
    """The network on windows, (n, 3, 5, 224, 224) or (n, 1, 13, 20) to (n, 1024)."""
    for place, stride, padding, pool in LIPS if kind == "lip" else SOUND:
        name = f"netcnn{kind}.{place}"
        kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        if kind == "lip":
            x = F.conv3d(x, kernel, bias, stride, padding)
        else:
            x = F.conv2d(x, kernel, bias, stride, padding)
        x = F.relu(normalised(weights, f"netcnn{kind}.{place + 1}", x))
        if pool and kind == "lip":
            size, step, edge = pool
            x = F.max_pool3d(x, (1, size, size), (1, step, step), (0, edge, edge))
        elif pool:
            x = F.max_pool2d(x, *pool)
    x = x.reshape(len(x), -1)
    head = f"netfc{kind}"
    x = F.linear(x, weights[f"{head}.0.weight"], weights[f"{head}.0.bias"])
    x = F.relu(normalised(weights, f"{head}.1", x))
    return F.linear(x, weights[f"{head}.3.weight"], weights[f"{head}.3.bias"])


def assert_equal(actual, expected):
    scale = float(expected.abs().max())
    assert scale > 0.1
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-4 * scale)


def frames_of(count, height=224, width=224, seed=0):
    shape = (count, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def speech(length, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(length)


def test_form__is_the_published_one():
    weights = SyncNet().state_dict()
    assert len(weights) == 102
    assert {name.partition(".")[0] for name in weights} == {
        "netcnnaud",
        "netfcaud",
        "netcnnlip",
        "netfclip",
    }
    assert weights["netcnnlip.18.weight"].shape == (512, 256, 1, 6, 6)
    assert weights["netcnnaud.18.weight"].shape == (512, 256, 5, 4)
    assert sum(p.numel() for p in SyncNet().parameters()) == 13_631_616


def test_embed_video__equals_a_transcription(syncnet, syncnet_weights):
    frames = frames_of(7)
    bgr = torch.from_numpy(frames[..., ::-1].copy()).float()
    windows = torch.stack([bgr[t : t + 5].permute(3, 0, 1, 2) for t in range(3)])
    expected = naive(syncnet_weights, "lip", windows)
    assert_equal(syncnet.embed_video(frames), expected)


def test_embed_audio__equals_a_transcription(syncnet, syncnet_weights):
    samples = speech(9 * 640)
    columns = torch.from_numpy(mfcc(samples))
    windows = torch.stack([columns[None, :, 4 * t : 4 * t + 20] for t in range(4)])
    expected = naive(syncnet_weights, "aud", windows)
    assert_equal(syncnet.embed_audio(samples), expected)


def test_forward__takes_what_is_prepared(syncnet):
    clips, sound = torch.rand(2, 3, 6, 224, 224), torch.rand(3, 1, 13, 20)
    video, audio = syncnet(clips, sound)
    assert (video.shape, audio.shape) == ((4, 1024), (3, 1024))
    assert_equal(video[2:], syncnet(clips[1:], sound)[0])


def test_embed__batches_make_no_difference(syncnet):
    frames, samples = frames_of(8), speech(12 * 640)
    assert_equal(syncnet.embed_video(frames, batch_size=3), syncnet.embed_video(frames))
    assert_equal(
        syncnet.embed_audio(samples, batch_size=3), syncnet.embed_audio(samples)
    )


@pytest.mark.parametrize("length", [0, 4])
def test_embed_video__too_few_frames(syncnet, length):
    assert syncnet.embed_video(frames_of(length, 32, 32)).shape == (0, 1024)


@pytest.mark.parametrize(
    ("length", "windows"),
    [
        (0, 0),
        (5 * 640, 0),
        (6 * 640, 1),
        (7 * 640, 2),
        (7 * 640 + 80, 2),
        (7 * 640 + 81, 3),
    ],
)
def test_embed_audio__number_of_windows(syncnet, length, windows):
    """L frames have L - 5; the next window needs half a column more."""
    assert syncnet.embed_audio(speech(length)).shape == (windows, 1024)


def bilinear(frames, size):
    """Halfway between pixels as between their centres, edges repeated, whole values."""
    for axis in (1, 2):
        length = frames.shape[axis]
        places = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        low = np.minimum(places.astype(int), max(0, length - 2))
        share = (places - low).reshape([-1 if a == axis else 1 for a in range(4)])
        one, other = frames.take(low, axis), frames.take(low + 1, axis)
        frames = one * (1 - share) + other * share
    return np.rint(frames).astype(np.uint8)


@pytest.mark.parametrize("size", [(160, 160), (300, 260)])
def test_embed_video__other_sizes_are_scaled_bilinearly(syncnet, size):
    frames = frames_of(5, *size)
    assert_equal(
        syncnet.embed_video(frames), syncnet.embed_video(bilinear(frames, 224))
    )


def test_embed_video__arrays_of_any_layout(syncnet):
    frames = frames_of(5, 32, 32)
    expected = syncnet.embed_video(torch.from_numpy(frames))
    mirrored = np.ascontiguousarray(frames[..., ::-1])[..., ::-1]
    mirrored.flags.writeable = False
    assert torch.equal(syncnet.embed_video(mirrored), expected)


def test_syncnet__is_a_frozen_measure(syncnet):
    network = copy.deepcopy(syncnet)
    assert network.train() is network
    assert not any(module.training for module in network.modules())
    assert not any(p.requires_grad for p in network.parameters())
    assert network.double().embed_video(frames_of(5, 32, 32)).dtype == torch.float64


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((5, 3, 8, 8), np.uint8), r"shape of frames \(5, 3, 8, 8\)"),
        (np.zeros((5, 8, 0, 3), np.uint8), r"shape of frames \(5, 8, 0, 3\)"),
        (np.zeros((5, 8, 8, 3), np.float32), r"dtype of frames torch\.float32"),
    ],
)
def test_frames__odd_ones_are_named(frames, message):
    with pytest.raises(ValueError, match=f"Invalid {message}"):
        check_frames(frames)


@pytest.mark.parametrize("size", [0, -3])
def test_batch_size__has_to_be_positive(syncnet, size):
    message = rf"Invalid batch_size \({size}\)"
    with pytest.raises(ValueError, match=message):
        syncnet.embed_video(frames_of(5, 32, 32), batch_size=size)
    with pytest.raises(ValueError, match=message):
        syncnet.embed_audio(speech(6 * 640), batch_size=size)


def test_from_file__another_network(tmp_path):
    torch.save({"encoder.weight": torch.ones(3)}, tmp_path / "other.pt")
    with pytest.raises(UsageError, match=r"as SyncNet: .*published syncnet_v2\.model"):
        SyncNet.from_file(tmp_path / "other.pt")
