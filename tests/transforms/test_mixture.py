import math

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from lightly_marlin.transforms import (
    FrameMask,
    MaskMixture,
    MixtureSchedule,
    TubeMask,
    mixture_token_mask,
)


def strategies(batch, count=3):
    """Masks that say which strategy and which clip they are of."""
    clips = torch.arange(batch)[:, None]
    return [(100 * n + clips, 1000 + 100 * n + clips) for n in range(count)]


@pytest.mark.parametrize("batch", [1, 2, 7, 16])
@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.0), (0.2, 0.3, 0.5), (0.0, 0.0, 1.0)])
def test_mixture_token_mask__shares_of_a_batch(batch, shares):
    """Each strategy gets its share to the nearest clip; rows stay whole."""
    for _ in range(50):
        kept, masked = mixture_token_mask(strategies(batch), shares)
        assert torch.equal(kept + 1000, masked)
        assert torch.equal(kept[:, 0] % 100, torch.arange(batch))
        counts = torch.bincount(kept[:, 0] // 100, minlength=3).tolist()
        for count, share in zip(counts, shares, strict=True):
            assert math.floor(share * batch - 1e-6) <= count
            assert count <= math.ceil(share * batch + 1e-6)


def test_mixture_token_mask__every_clip_alike():
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(3)
    for _ in range(3000):
        kept, _ = mixture_token_mask(
            strategies(3, 2), (0.25, 0.75), generator=generator
        )
        counts += kept[:, 0] // 100
    assert (counts / 3000 - 0.75).abs().max() < 0.04


def test_mixture_token_mask__generator():
    draws = [
        mixture_token_mask(
            strategies(20),
            (0.3, 0.3, 0.4),
            generator=torch.Generator().manual_seed(seed),
        )[0]
        for seed in (0, 0, 1)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_mixture_schedule__known_values():
    schedule = MixtureSchedule((1.0, 0.0), (0.5, 0.5), steps=100)
    assert schedule(0) == (1.0, 0.0)
    assert schedule(50) == pytest.approx((0.75, 0.25))
    assert schedule(100) == schedule(5000) == (0.5, 0.5)
    assert MixtureSchedule((0.3, 0.7))(9) == (0.3, 0.7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MixtureSchedule((0.5, 0.6)), r"Invalid shares \(0\.5, 0\.6\)"),
        (lambda: MixtureSchedule((1.5, -0.5)), "not negative, that add up to 1"),
        (lambda: MixtureSchedule((math.nan, 1.0)), "Invalid shares"),
        (lambda: MixtureSchedule(()), "Invalid shares"),
        (lambda: MixtureSchedule((1.0,), (0.5, 0.5)), "must be 1 numbers"),
        (lambda: MixtureSchedule((1.0,), steps=0), "Invalid steps 0"),
        (lambda: mixture_token_mask(strategies(2), (0.5, 0.5)), "must be 3 numbers"),
        (
            lambda: mixture_token_mask([*strategies(2, 1), *strategies(3, 1)], (1, 0)),
            "all must have the same shapes",
        ),
        (lambda: MaskMixture([TubeMask()], (0.5, 0.5)), "as many as transforms, 1"),
    ],
)
def test_mixture__errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def sample():
    return {"video": torch.zeros(3, 8, 32, 32)}


def tubelets_seen(entry):
    return len((entry["idx_keep"] // 4).unique())


def test_mask_mixture__shares():
    """A tube mask sees all four tubelets, a frame mask one."""
    mixture = MaskMixture(
        [TubeMask(0.75), FrameMask(0.75)],
        (0.25, 0.75),
        generator=torch.Generator().manual_seed(0),
    )
    seen = [tubelets_seen(mixture(sample())) for _ in range(1000)]
    assert set(seen) == {1, 4}
    assert abs(seen.count(4) / 1000 - 0.25) < 0.05


class Masked(Dataset):
    def __init__(self, transform):
        self.transform = transform

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return self.transform(sample())


def test_mask_mixture__schedule_reaches_workers():
    """The worker is started once, before the step is set."""
    schedule = MixtureSchedule((1.0, 0.0), (0.0, 1.0), steps=10)
    mixture = MaskMixture([TubeMask(0.75), FrameMask(0.75)], schedule)
    loader = DataLoader(Masked(mixture), num_workers=1, persistent_workers=True)
    assert {tubelets_seen(entry) for entry in loader} == {4}
    mixture.set_step(10)
    assert {tubelets_seen(entry) for entry in loader} == {1}
