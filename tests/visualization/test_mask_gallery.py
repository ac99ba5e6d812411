import numpy as np
import pytest
import torch

from lightly_marlin.regions import Label
from lightly_marlin.visualization import (
    PanelText,
    ShownMask,
    mask_animation,
    mask_sheet,
)
from lightly_marlin.visualization.region_colors import REGION_COLORS


def clip():
    """A white clip of 4 frames with 2x2 patches of 16 pixels, 8 tokens."""
    return torch.full((3, 4, 32, 32), 255, dtype=torch.uint8)


MASKS = {
    "all": ShownMask(torch.arange(8)),
    "one": ShownMask(torch.tensor([0])),
    "none": ShownMask(torch.arange(0)),
}


def white(picture):
    return (np.asarray(picture) == 255).all(axis=-1)


def test_mask_sheet__each_row_shows_its_mask():
    sheet = mask_sheet(clip(), MASKS, num_frames=2, side=32)
    assert sheet.width == 2 * 36 - 4 + 16
    assert sheet.height > 4 * 54 + 16
    frames = white(sheet)[8:, 8:]
    rows = [frames[54 * n + 22 : 54 * n + 54] for n in range(4)]
    first, second = slice(0, 32), slice(36, 68)
    assert rows[0].all()
    assert not rows[1][:, first].any()
    assert not rows[1][:, second].any()
    # Token 0 is the upper left of the first tubelet; the size is its own here.
    assert not rows[2][:16, :16].any()
    assert rows[2][16:, first].all()
    assert rows[2][:, second].all()
    assert rows[3].all()


def test_mask_sheet__regions_have_their_colours_and_a_legend():
    cells = torch.full((4, 4, 4), 1 << 6, dtype=torch.int32)
    masks = {"all": ShownMask(torch.arange(8))}
    plain = mask_sheet(clip(), masks, num_frames=1, side=32)
    nose = mask_sheet(clip(), masks, cells, num_frames=1, side=32)
    colours = [np.asarray(sheet)[100, 20].tolist() for sheet in (plain, nose)]
    assert colours[1][1] > colours[1][0] + 50
    assert abs(colours[0][1] - colours[0][0]) < 5
    hair = tuple(round(255 * value) for value in REGION_COLORS[Label.HAIR])
    found = [{c for _, c in sheet.getcolors(2**16)} for sheet in (plain, nose)]
    assert [hair in colors for colors in found] == [False, True]


def test_mask_sheet__what_is_not_decoded_is_hatched():
    """Token 1 alone is predicted; where nothing is masked, nothing is painted."""
    masks = {
        "first two": ShownMask(torch.tensor([0, 1]), idx_decode=torch.tensor([1])),
        "all": ShownMask(torch.arange(8)),
    }
    frames = np.asarray(mask_sheet(clip(), masks, num_frames=1, side=32))[8:, 8:]
    row = frames[54 + 22 : 54 + 54, :32]
    assert len(np.unique(row[:16, :16].reshape(-1, 3), axis=0)) == 2
    assert len(np.unique(row[:16, 16:].reshape(-1, 3), axis=0)) == 1
    assert (row[16:] == 255).all()
    whole = frames[108 + 22 : 108 + 54, :32]
    assert len(np.unique(whole.reshape(-1, 3), axis=0)) == 1


def test_mask_sheet__shows_every_tubelet():
    """Of 8 tubelets one is visible; as many frames as tubelets show it."""
    long = torch.full((3, 16, 16, 16), 255, dtype=torch.uint8)
    for seen in range(8):
        hidden = torch.tensor([i for i in range(8) if i != seen])
        sheet = mask_sheet(long, {"frame": ShownMask(hidden)}, num_frames=8, side=16)
        row = white(sheet)[8 + 38 + 22 : 8 + 38 + 38, 8:]
        shown = [row[:, 20 * i : 20 * i + 16].all() for i in range(8)]
        assert shown == [i == seen for i in range(8)]


def test_mask_sheet__notes_stand_behind_names():
    plain, noted = (
        mask_sheet(clip(), {"tube": ShownMask(torch.arange(4), note)}, side=32)
        for note in ("", "the same places")
    )
    differs = np.asarray(plain) != np.asarray(noted)
    assert differs[8 + 54 : 8 + 54 + 22].any()
    assert not differs[: 8 + 54].any()
    assert not differs[8 + 54 + 22 :].any()


def test_mask_animation__a_picture_per_frame():
    pictures = mask_animation(clip(), MASKS, columns=3, side=32)
    assert len(pictures) == 4
    assert pictures[0].width == 3 * 36 - 4 + 16
    assert pictures[0].height > 2 * 54 + 16
    shown = [white(picture)[30:62, 80:96].mean() for picture in pictures]
    assert shown[0] == shown[1] < shown[2] == shown[3] == 1


def test_text_stands_above():
    text = PanelText("90 % masked", ["a", "b", "c", "d"])
    plain, titled = (mask_sheet(clip(), MASKS, text=t) for t in (None, text))
    assert titled.height > plain.height + 40
    moving = mask_animation(clip(), MASKS, text=text)
    assert moving[0].height > mask_animation(clip(), MASKS)[0].height


@pytest.mark.parametrize("options", [{"side": 0}, {"num_frames": 0}])
def test_mask_sheet__errors(options):
    with pytest.raises(ValueError, match="must be at least 1"):
        mask_sheet(clip(), MASKS, **options)


def test_mask_animation__errors():
    with pytest.raises(ValueError, match="Invalid columns 0: must be at least 1"):
        mask_animation(clip(), MASKS, columns=0)
