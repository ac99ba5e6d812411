import numpy as np
import pytest
import torch

from lightly_marlin.visualization import mask_animation, mask_sheet


def clip():
    """A white clip of 4 frames with 2x2 patches of 16 pixels, 8 tokens."""
    return torch.full((3, 4, 32, 32), 255, dtype=torch.uint8)


MASKS = {"all": torch.arange(8), "one": torch.tensor([0]), "none": torch.arange(0)}


def white(picture):
    return (np.asarray(picture) == 255).all(axis=-1)


def test_mask_sheet__each_row_shows_its_mask():
    sheet = mask_sheet(clip(), MASKS, num_frames=2, side=32)
    assert sheet.width == 2 * 34
    assert sheet.height > 4 * 48
    frames = white(sheet)
    rows = [frames[48 * n + 16 : 48 * n + 48] for n in range(4)]
    first, second = slice(0, 32), slice(34, 66)
    assert rows[0].all()
    assert not rows[1][:, first].any()
    assert not rows[1][:, second].any()
    # Token 0 is the upper left of the first tubelet; resizing keeps the size here.
    assert not rows[2][:16, :16].any()
    assert rows[2][16:, first].all()
    assert rows[2][:, second].all()
    assert rows[3].all()


def test_mask_sheet__regions_have_their_colours():
    cells = torch.full((4, 4, 4), 1 << 6, dtype=torch.int32)
    plain = mask_sheet(clip(), {"all": torch.arange(8)}, num_frames=1, side=32)
    nose = mask_sheet(clip(), {"all": torch.arange(8)}, cells, num_frames=1, side=32)
    colours = [np.asarray(sheet)[80, 16].tolist() for sheet in (plain, nose)]
    assert colours[1][1] > colours[1][0] + 50
    assert abs(colours[0][1] - colours[0][0]) < 5


def test_mask_sheet__what_is_not_decoded_is_hatched():
    """Token 1 alone is predicted; where nothing is masked, nothing is painted."""
    masks = {"first two": torch.tensor([0, 1]), "all": torch.arange(8)}
    decoded = {"first two": torch.tensor([1])}
    sheet = mask_sheet(clip(), masks, num_frames=1, side=32, decoded=decoded)
    row = np.asarray(sheet)[48 + 16 : 48 + 48]
    assert len(np.unique(row[:16, :16].reshape(-1, 3), axis=0)) == 2
    assert len(np.unique(row[:16, 16:32].reshape(-1, 3), axis=0)) == 1
    assert (row[16:, :32] == 255).all()
    whole = np.asarray(sheet)[96 + 16 : 96 + 48, :32]
    assert len(np.unique(whole.reshape(-1, 3), axis=0)) == 1


def test_mask_sheet__shows_every_tubelet():
    """Of 8 tubelets one is visible; as many frames as tubelets show it."""
    long = torch.full((3, 16, 16, 16), 255, dtype=torch.uint8)
    for seen in range(8):
        hidden = torch.tensor([i for i in range(8) if i != seen])
        sheet = mask_sheet(long, {"frame": hidden}, num_frames=8, side=16)
        row = white(sheet)[32 + 16 : 32 + 32]
        shown = [row[:, 18 * i : 18 * i + 16].all() for i in range(8)]
        assert shown == [i == seen for i in range(8)]


def test_mask_animation__a_picture_per_frame():
    pictures = mask_animation(clip(), MASKS, columns=3, side=32)
    assert len(pictures) == 4
    assert pictures[0].width == 3 * 34
    assert pictures[0].height > 2 * 48
    shown = [white(picture)[16:48, 68:84].mean() for picture in pictures]
    assert shown[0] == shown[1] < shown[2] == shown[3] == 1


@pytest.mark.parametrize("options", [{"side": 0}, {"num_frames": 0}])
def test_mask_sheet__errors(options):
    with pytest.raises(ValueError, match="must be at least 1"):
        mask_sheet(clip(), MASKS, **options)


def test_mask_animation__errors():
    with pytest.raises(ValueError, match="Invalid columns 0: must be at least 1"):
        mask_animation(clip(), MASKS, columns=0)
