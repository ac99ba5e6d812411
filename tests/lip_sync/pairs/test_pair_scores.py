import math

import pytest
import torch
from torch import nn

from lightly_marlin.lip_sync import SyncExpert, SyncPair, pair_inputs, score_pairs


class Given(nn.Module):
    """An expert that takes cosines in place of frames."""

    def forward(self, frames, mel):
        return frames, mel

    def similarity(self, video, audio):
        return video


def score(*batches):
    made = [(torch.tensor(c), torch.empty(0), torch.tensor(s)) for c, s in batches]
    return score_pairs(Given(), made)


def test_score_pairs__known_values():
    scores = score(([0.9, 0.2], [True, False]), ([0.4, 0.7, 0.1], [1, 0, 0]))
    told = [0.9, 0.8, 0.4, 0.3, 0.9]
    assert scores.loss == pytest.approx(-sum(map(math.log, told)) / 5, abs=1e-6)
    assert scores.accuracy == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scores.num_pairs == 5


def test_score_pairs__always_the_same_answer_is_chance():
    assert score(([1.0, 1.0, 1.0, 1.0], [1, 1, 1, 0])).accuracy == 0.5
    assert score(([0.5] * 4, [1, 1, 1, 0])).loss == pytest.approx(math.log(2))


def test_score_pairs__of_an_expert_that_knows(code_expert, make_talk):
    talk = make_talk()
    pairs = [SyncPair(3, 3), SyncPair(3, 9), SyncPair(20, 20), SyncPair(20, 18)]
    inputs = [pair_inputs(talk.frames, talk.mel, pair, 5, 25) for pair in pairs]
    frames, mel = (torch.stack(part) for part in zip(*inputs, strict=True))
    batch = frames, mel, torch.tensor([pair.in_sync for pair in pairs])
    assert score_pairs(code_expert, [batch])[1:] == (1.0, 4)


def test_score_pairs__leaves_the_expert_as_it_was():
    expert = SyncExpert(num_frames=1, width=1)
    before = {name: value.clone() for name, value in expert.state_dict().items()}
    batch = torch.rand(2, 3, 1, 96, 96), torch.randn(2, 1, 80, 4), torch.tensor([1, 0])
    assert score_pairs(expert, [batch]).num_pairs == 2
    assert expert.training
    torch.testing.assert_close(dict(expert.state_dict()), before, rtol=0, atol=0)


def test_score_pairs__needs_both_kinds():
    with pytest.raises(ValueError, match="shifted pairs are needed, got 2 and 0"):
        score(([0.5, 0.5], [1, 1]))
    with pytest.raises(ValueError, match="got 0 and 0"):
        score()
