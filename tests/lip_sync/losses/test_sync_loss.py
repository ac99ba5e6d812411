import doctest
import math

import pytest
import torch

from lightly_marlin.lip_sync import SyncExpert, SyncLoss, cosine_bce
from lightly_marlin.lip_sync.losses import sync_loss


@pytest.fixture
def expert():
    torch.manual_seed(0)
    return SyncExpert(num_frames=5, width=2)


def draw(frames=7, batch=2, steps=16, windows=None):
    torch.manual_seed(1)
    generated = torch.rand(batch, 3, frames, 32, 32, requires_grad=True)
    return generated, torch.randn(batch, windows or frames, 1, 80, steps)


def test_example_runs():
    names = {"torch": torch, "SyncExpert": SyncExpert}
    failures, tried = doctest.testmod(sync_loss, extraglobs=names, report=True)
    assert (failures, tried) == (0, 3)


def test_cosine_bce__known_values():
    value = cosine_bce(torch.tensor([0.9, 0.2]), torch.tensor([True, False]))
    assert value.item() == pytest.approx(-(math.log(0.9) + math.log(0.8)) / 2)
    chance = cosine_bce(torch.full((4,), 0.5), torch.tensor([0, 1, 0, 1]))
    assert chance.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("label", [0, 1])
def test_cosine_bce__is_finite_at_the_ends(label):
    cosines = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    loss = cosine_bce(cosines, torch.full((2,), label))
    loss.backward()
    # One of the two is exactly right, the other as wrong as can be.
    assert loss.item() == pytest.approx(math.log(1e6) / 2, abs=1e-5)
    assert cosines.grad.isfinite().all()


def test_cosine_bce__low_precision_is_computed_in_float32():
    cosines = torch.tensor([0.9, 0.3]).bfloat16()
    value = cosine_bce(cosines, torch.ones(2))
    assert torch.equal(value, cosine_bce(cosines.float(), torch.ones(2)))


def test_cosine_bce__errors():
    with pytest.raises(ValueError, match=r"same shape .* got \(2,\) and \(3,\)"):
        cosine_bce(torch.rand(2), torch.ones(3))
    with pytest.raises(ValueError, match="not be empty"):
        cosine_bce(torch.rand(0), torch.ones(0))
    with pytest.raises(ValueError, match="similarity must be a floating-point"):
        cosine_bce(torch.ones(2, dtype=torch.int64), torch.ones(2))


def test_equals_a_transcription_over_runs_of_five_frames(expert):
    generated, mel = draw()
    total = 0.0
    criterion = SyncLoss(expert)
    for clip, sounds in zip(generated.detach(), mel, strict=True):
        for start in range(3):
            video = expert.embed_frames(clip[None, :, start : start + 5])
            audio = expert.embed_mel(sounds[start : start + 1])
            total -= math.log((video * audio).sum())
    assert criterion(generated, mel).item() == pytest.approx(total / 6, rel=1e-5)


def test_one_window_of_16_frames():
    torch.manual_seed(0)
    expert = SyncExpert(num_frames=16, width=1)
    generated, mel = draw(frames=16, steps=52, windows=1)
    value = SyncLoss(expert)(generated, mel)
    cosines = expert.similarity(*expert(generated, mel[:, 0]))
    torch.testing.assert_close(value, -cosines.log().mean())


def test_frames_get_a_gradient_and_the_expert_none(expert):
    criterion = SyncLoss(expert)
    before = {name: value.clone() for name, value in expert.state_dict().items()}
    generated, mel = draw()
    criterion.train()(generated, mel).backward()
    assert (generated.grad[:, :, :, 16:] != 0).any(dim=(1, 3, 4)).all()
    # Away from the edge, which resizing blurs, the upper half is not looked at.
    assert not generated.grad[:, :, :, :15].any()
    assert all(parameter.grad is None for parameter in expert.parameters())
    torch.testing.assert_close(dict(expert.state_dict()), before, rtol=0, atol=0)


def test_expert_stays_in_evaluation_mode(expert):
    holder = torch.nn.ModuleList([SyncLoss(expert.train())]).train()
    assert holder[0].training
    assert not any(part.training for part in expert.modules())
    assert not any(parameter.requires_grad for parameter in holder.parameters())


def test_descent_raises_the_cosine(expert):
    criterion = SyncLoss(expert)
    generated, mel = draw(frames=5, batch=1)
    first = criterion(generated, mel)
    for _ in range(5):
        (gradient,) = torch.autograd.grad(criterion(generated, mel), generated)
        generated = (generated - 0.05 * gradient.sign()).detach().requires_grad_()
    assert criterion(generated, mel) < first


def test_more_windows_than_needed_change_nothing(expert):
    generated, mel = draw()
    criterion = SyncLoss(expert)
    assert torch.equal(criterion(generated, mel), criterion(generated, mel[:, :3]))


def test_errors(expert):
    criterion = SyncLoss(expert)
    generated, mel = draw()
    for frames, sounds in (
        (generated[:, :, :4], mel),
        (generated, mel[:, :2]),
        (generated, mel[:1]),
    ):
        with pytest.raises(ValueError, match=r"do not fit\. Supported .* T >= 5"):
            criterion(frames, sounds)
    with pytest.raises(ValueError, match="mel must have 5 dimensions"):
        criterion(generated, mel[:, 0])
    with pytest.raises(ValueError, match="generated must be a floating-point"):
        criterion(generated.detach().byte(), mel)
    with pytest.raises(ValueError, match=r"Invalid mel .* \(B, 1, 80, 16\)"):
        criterion(generated, mel[..., :8])
