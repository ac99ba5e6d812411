"""A strategy of five lines becomes an option, a transform and a row of the gallery."""

from dataclasses import dataclass
from typing import Literal

import pytest
import torch

from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.transforms import (
    BatchMasking,
    MaskStrategy,
    MaskVariant,
    get_mask,
    mask_choices,
    mask_names,
    mask_table,
    register_mask,
    split_mask_name,
    unregister_mask,
)
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.visualization import draw_every_mask, mask_sheet

BUILT_IN = ("fasking", "tube", "frame", "random", "crfrp", "motion", "multiblock")


class Last(MaskStrategy):
    """The end of the clip masked."""

    name, caption = "last", "only the beginning stays visible"

    def draw(self, given):
        idx = torch.arange(32, device=given.device).expand(given.size[0], -1)
        return idx[:, :8], idx[:, 8:]


@pytest.fixture
def last():
    yield register_mask(Last)
    unregister_mask("last")


@pytest.fixture
def clip():
    return {
        "video": torch.zeros(3, 4, 64, 64, dtype=torch.uint8),
        "regions": torch.ones(4, 8, 8, dtype=torch.int32),
    }


def masking(name, **options):
    return BatchMasking(
        name, 0.75, grid=(2, 4, 4), patch_size=16, tubelet_size=2, **options
    )


def test_strategy__is_an_option_of_pretraining(last, clip):
    cells = torch.stack([clip["regions"]] * 2)
    kept, masked = masking("last")(cells, 0)
    assert kept.tolist() == [list(range(8))] * 2
    assert masked.shape == (2, 24)
    assert masking("tube+last")(cells, 0)[0].shape == (2, 8)
    for name in ("last", "last+fasking"):
        assert PretrainSettings(mask=name).mask == name
    with pytest.raises(UsageError, match="multiblock, last, and mixtures"):
        PretrainSettings(mask="first")


def test_strategy__is_a_transform_on_samples(last, clip):
    sample = get_mask("last")(0.75)({**clip, "track_id": "a"})
    assert sample["idx_keep"].tolist() == list(range(8))
    assert sample["idx_mask"].tolist() == list(range(8, 32))
    assert sample["track_id"] == "a"
    with pytest.raises(ValueError, match="needs the key 'video'"):
        Last()({})


def test_strategy__is_a_row_of_the_gallery_and_of_the_table(last, clip):
    masks = draw_every_mask(clip["video"], clip["regions"], 0.75)
    assert masks["last"].note == "only the beginning stays visible"
    assert masks["last"].idx_mask.tolist() == list(range(8, 32))
    with_last = mask_sheet(clip["video"], masks, side=32).height
    row = "| `last` | `Last` | The end of the clip masked | only the beginning stays"
    assert row in mask_table()
    assert mask_sheet(clip["video"], {"last": masks["last"]}, side=32).height < (
        with_last
    )


def test_registry__built_in_strategies_in_their_order():
    assert mask_names() == BUILT_IN
    assert mask_choices().startswith(f"{', '.join(BUILT_IN)}, and")
    assert split_mask_name("tube+motion") == ("tube", "motion")
    table = mask_table().splitlines()
    assert [row.split("`")[1] for row in table[2:]] == list(BUILT_IN)
    assert {len(row.split(" | ")) for row in table if row[2] == "`"} == {4}


def test_registry__options_reach_the_strategy_that_has_them(clip):
    """Fasking's are given for every mask; what none has is rejected."""

    @dataclass(eq=False, kw_only=True)
    class Side(Last):
        """One side."""

        name = "side"
        variants = (MaskVariant("other", "the other one", {"side": "right"}),)
        side: Literal["left", "right"] = "left"
        width: float = 0.5

    register_mask(Side)
    try:
        strategy = masking("side", side="right", mode="tube").strategies[0]
        assert (strategy.side, strategy.width) == ("right", 0.5)
        assert Side.options() == {"side": ("left", "right"), "width": ()}
        assert "side, other" in draw_every_mask(clip["video"], clip["regions"], 0.75)
        with pytest.raises(ValueError, match=r"Invalid side \('up'\).*left, right"):
            masking("side", side="up")
        with pytest.raises(ValueError, match=r"mode, .*, order, side, .*, width"):
            masking("side", hue=1)
    finally:
        unregister_mask("side")


def test_registry__errors(last):
    with pytest.raises(ValueError, match=r"\('last'\): Last has it already"):
        register_mask(type("Again", (Last,), {}))
    for name in ("a+b", "", "A B"):
        with pytest.raises(ValueError, match="Supported are lower-case letters"):
            register_mask(type("Named", (Last,), {"name": name}))
    for function in (get_mask, unregister_mask):
        with pytest.raises(ValueError, match=r"Invalid mask \('x'\).*fasking, tube"):
            function("x")
