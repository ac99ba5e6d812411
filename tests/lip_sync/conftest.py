"""An expert whose answers are known, and clips that it understands."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lightly_marlin.lip_sync import SyncExpert


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
