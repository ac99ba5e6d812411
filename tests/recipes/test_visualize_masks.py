import numpy as np
import pytest
from PIL import Image

from lightly_marlin.store import FaceStore
from lightly_marlin.utils.console import run_recipe


@pytest.fixture
def run(load_recipe, tiny_store, tmp_path):
    """Draws masks of the tiny store; returns the exit status."""
    main = load_recipe("visualize_masks").main
    arguments = ["--store", str(tiny_store), "--out", str(tmp_path / "masks")]
    return lambda *options: run_recipe(lambda: main([*arguments, *options]))


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=int)


def test_draws_every_strategy(run, tmp_path):
    """A row with the clip, seven strategies, their four variants; all differ.

    Least do tube and motion, which begin with the same mask in this quiet clip.
    """
    assert run() == 0
    sheet = pixels(tmp_path / "masks" / "masks.png")
    top = 8 + 26
    rows = sheet[top : top + 12 * 182, 8:-8].reshape(12, 182, -1, 3)[:, 22:]
    assert rows.shape[2] == 8 * 164 - 4
    for first in range(12):
        for second in range(first):
            assert np.abs(rows[first] - rows[second]).mean() > 0.1
    with Image.open(tmp_path / "masks" / "masks.gif") as animation:
        assert animation.n_frames > 4
        assert animation.size[0] == 5 * 164 - 4 + 16


def test_options_reach_the_masks(run, load_recipe, tiny_store, tmp_path):
    pictures = []
    for options in ((), ("--seed", 1), ("--mask-ratio", 0.5)):
        assert run(*[str(option) for option in options]) == 0
        pictures.append(pixels(tmp_path / "masks" / "masks.png")[34:])
    assert (pictures[0] != pictures[1]).any()
    assert (pictures[0] != pictures[2]).any()
    module = load_recipe("visualize_masks")
    tracks = FaceStore(tiny_store).column("track_id")
    assert module.choose_clip(str(tiny_store), tracks[1])["track_id"] == tracks[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--track", "nobody"), "There is no track nobody of 16 frames"),
        (("--mask-ratio", "1.5"), "Invalid mask_ratio 1.5"),
        (("--store", "nowhere"), "nowhere"),
        (("--out", "/dev/null/masks"), "cannot be written"),
    ],
)
def test_bad_arguments(run, options, message, capsys):
    assert run(*options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
