"""Experts whose answers are known, clips that they understand, random weights."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lightly_marlin.lip_sync import FidInception, SyncExpert, SyncNet


class CodeExpert(nn.Module):
    """Reads the number of a moment off the first frame and the first step.

    The cosine is 1 for equal numbers and 0 for others; silence is number 0.
    """

    num_frames, mel_steps = 5, 16
    similarity = SyncExpert.similarity

    def embed_frames(self, frames):
        return self._one_hot(frames[:, 0, 0].float().mean(dim=(1, 2)))

    def embed_mel(self, mel):
        return self._one_hot(32 * (mel[:, 0, 0, 0] + 4))

    def forward(self, frames, mel):
        return self.embed_frames(frames), self.embed_mel(mel)

    def _one_hot(self, numbers):
        return F.one_hot(numbers.round().long(), 256).float()


def _make_talk(num_frames=60, fps=25, delay=0):
    """A clip of numbered moments whose sound is late by `delay` frames."""
    numbers = torch.randperm(255, generator=torch.Generator().manual_seed(0)) + 1
    frames = numbers[:num_frames].to(torch.uint8)[None, :, None, None]
    mel = torch.full((80, math.floor(80 * num_frames / fps) + 16), -4.0)
    for frame in range(num_frames):
        start, stop = (math.floor(80 * f / fps) for f in (frame, frame + 1))
        mel[:, start:stop] = numbers[(frame - delay) % 255] / 32 - 4
    return SimpleNamespace(frames=frames.expand(3, -1, 8, 8), mel=mel, fps=fps)


@pytest.fixture(scope="session")
def code_expert():
    return CodeExpert()


@pytest.fixture(scope="session")
def make_talk():
    return _make_talk


def random_weights(module, seed=0):
    """Weights by name, without counters, as old files have them."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, tensor in module.state_dict().items():
        noise = torch.randn(tensor.shape, generator=generator)
        if tensor.ndim > 1:
            weights[name] = noise * (2 / tensor[0].numel()) ** 0.5
        elif name.endswith(("running_var", "weight")):
            weights[name] = 0.5 + torch.rand(tensor.shape, generator=generator)
        elif not name.endswith("num_batches_tracked"):
            weights[name] = 0.1 * noise
    return weights


@pytest.fixture(scope="session")
def syncnet_weights():
    return random_weights(SyncNet())


@pytest.fixture(scope="session")
def syncnet(syncnet_weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("syncnet") / "syncnet_v2.model"
    torch.save(syncnet_weights, path, _use_new_zipfile_serialization=False)
    return SyncNet.from_file(path)


@pytest.fixture(scope="session")
def inception_weights():
    return random_weights(FidInception())


_SAMPLES_PER_FRAME = 640


def _talking_video(length, delay=0, seed=0):
    """Frames whose grey jumps, and sound that is as loud, `delay` frames later."""
    random = np.random.default_rng(seed)
    loudness = random.integers(50, 250, length + 40)
    grey = loudness[20 : 20 + length].astype(np.uint8)
    heard = loudness[20 - delay : 20 - delay + length] / 256
    frames = np.broadcast_to(grey[:, None, None, None], (length, 4, 4, 3))
    return frames, np.repeat(heard, _SAMPLES_PER_FRAME).astype(np.float32)


@pytest.fixture(scope="session")
def talking_video():
    return _talking_video


class GreyNet:
    """Stands in for SyncNet: embeds the grey of five frames, and loudness as grey."""

    def embed_video(self, frames, *, batch_size):
        return frames[:, 0, 0, 0].double().unfold(0, 5, 1)

    def embed_audio(self, samples):
        # Like SyncNet, one window less than would fit.
        step = _SAMPLES_PER_FRAME
        loudness = torch.as_tensor(samples).unfold(0, step, step).amax(1)
        return (256 * loudness).double().unfold(0, 5, 1)[:-1]


@pytest.fixture(scope="session")
def grey_net():
    return GreyNet()
