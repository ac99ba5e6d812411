import pytest
import torch

from lightly_marlin.evaluation.tuning.mixing import mix_clips


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def clips(batch=4):
    """Every clip has one value; the frames of a clip are all alike."""
    values = torch.arange(batch).float() / batch
    return values.reshape(-1, 1, 1, 1, 1).expand(-1, 3, 6, 16, 20)


LABELS = torch.eye(4)


def test_mix_clips__cutmix_leaves_time_alone():
    """One box of height and width in all frames, and nothing outside of it."""
    cut = 0
    for _ in range(20):
        mixed, soft = mix_clips(clips(), LABELS, cutmix=1.0)
        changed = mixed != clips()
        assert torch.equal(changed, changed[:, :1, :1].expand_as(changed))
        box = changed[1, 0, 0]
        rows, columns = box.any(1).nonzero(), box.any(0).nonzero()
        assert box.sum() == len(rows) * len(columns)
        # The label follows the area.
        area = box.float().mean()
        torch.testing.assert_close(soft[1, 1], 1 - area)
        torch.testing.assert_close(soft[1, 0], area)
        cut += 0 < area < 1
    assert cut > 10


def test_mix_clips__mixup_is_a_convex_combination():
    mixed, soft = mix_clips(clips(), LABELS, mixup=0.8)
    share = soft[1, 1]
    expected = share * clips() + (1 - share) * clips().roll(1, 0)
    torch.testing.assert_close(mixed, expected)
    torch.testing.assert_close(soft.sum(1), torch.ones(4))
    assert type(mixed) is torch.Tensor


def test_mix_clips__multi_hot_labels():
    labels = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, torch.nan]])
    _, soft = mix_clips(clips(), labels, mixup=0.8)
    share = soft[1, 1] if soft[1, 0] == 0 else 1 - soft[1, 0]
    torch.testing.assert_close(soft[1], share * labels[1] + (1 - share) * labels[0])
    # An empty label stays empty, also mixed with another one.
    assert soft[0].isnan().tolist() == soft[3].isnan().tolist() == [False, False, True]


def test_mix_clips__uint8_becomes_shares():
    pixels = (clips() * 255).to(torch.uint8)
    mixed, _ = mix_clips(pixels, LABELS, mixup=0.8)
    assert mixed.dtype == torch.float32
    assert mixed.max() <= 1
    torch.manual_seed(0)
    again, _ = mix_clips(pixels / 255, LABELS, mixup=0.8)
    assert torch.equal(mixed, again)


def test_mix_clips__both_take_turns():
    kinds = set()
    for _ in range(20):
        mixed, _ = mix_clips(clips(), LABELS, mixup=1.0, cutmix=1.0)
        kinds.add("mixup" if len(mixed[1].unique()) == 1 else "cutmix")
    assert kinds == {"mixup", "cutmix"}


def test_mix_clips__off():
    videos = clips()
    state = torch.get_rng_state()
    mixed, labels = mix_clips(videos, LABELS)
    assert mixed is videos
    assert labels is LABELS
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("options", [{"mixup": -1.0}, {"cutmix": -1.0}])
def test_mix_clips__negative(options):
    with pytest.raises(ValueError, match=r"Invalid (mixup|cutmix) -1.0: must be 0 or"):
        mix_clips(clips(), LABELS, **options)
