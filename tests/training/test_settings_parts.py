import pytest
import torch

from lightly_marlin.models import MarlinConfig
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.training.settings_parts import masking_of, schedule_of
from lightly_marlin.utils.errors import UsageError

CONFIG = MarlinConfig()


def test_schedule_of__epochs_in_steps():
    settings = PretrainSettings(batch_size=8, devices=2, epochs=10, warmup_epochs=4)
    schedule = schedule_of(settings, 100)
    assert (schedule.warmup_steps, schedule.total_steps) == (24, 60)
    # For 256 clips a step; this one has 16.
    assert schedule.highest == 1.5e-4 / 16
    assert schedule.minimum == 1e-5 / 16


def test_schedule_of__steps_instead_of_epochs():
    settings = PretrainSettings(schedule_steps=7, warmup_steps=3, scale_rates=False)
    schedule = schedule_of(settings, 100)
    assert (schedule.warmup_steps, schedule.total_steps) == (3, 7)
    assert schedule.highest == 1.5e-4


def test_schedule_of__fewer_clips_than_a_batch():
    settings = PretrainSettings(batch_size=16, epochs=3, warmup_epochs=40)
    schedule = schedule_of(settings, 5)
    assert (schedule.warmup_steps, schedule.total_steps) == (3, 3)


@pytest.mark.parametrize("end", [None, 0.0])
def test_masking_of__mixture(end):
    settings = PretrainSettings(
        mask="fasking+tube", mask_share=0.75, mask_share_end=end, mask_share_steps=10
    )
    masking = masking_of(settings, CONFIG)
    assert masking.schedule(0) == (0.75, 0.25)
    assert masking.schedule(10) == ((0.75, 0.25) if end is None else (0.0, 1.0))


def test_masking_of__settings_reach_the_masks():
    settings = PretrainSettings(mask="tube", mask_ratio=0.75, seed=3)
    cells = torch.zeros(2, 16, 28, 28, dtype=torch.int32)
    idx_keep, idx_mask = masking_of(settings, CONFIG, decode_ratio=0.5)(cells, 0)
    assert idx_keep.shape == (2, 392)
    assert idx_mask.shape == (2, 588)
    other = masking_of(PretrainSettings(mask="tube", mask_ratio=0.75, seed=4), CONFIG)
    assert not torch.equal(other(cells, 0)[0], idx_keep)


def test_masking_of__ratio_that_leaves_nothing():
    with pytest.raises(UsageError, match="mask_ratio"):
        masking_of(PretrainSettings(mask_ratio=0.9999), CONFIG)
