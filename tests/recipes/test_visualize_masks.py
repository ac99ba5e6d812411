import numpy as np
import pytest
from PIL import Image

from lightly_marlin.data import FaceStore
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
    """A row with the clip, six strategies and the decoded half; all differ."""
    assert run() == 0
    sheet = pixels(tmp_path / "masks" / "masks.png")
    assert sheet.shape == (8 * 176, 6 * 162, 3)
    rows = sheet.reshape(8, 176, -1, 3)[:, 16:]
    for first in range(8):
        for second in range(first):
            assert np.abs(rows[first] - rows[second]).mean() > 1
    with Image.open(tmp_path / "masks" / "masks.gif") as animation:
        assert animation.n_frames > 4


def test_seed_track_and_ratio(run, tmp_path, tiny_store):
    tracks = FaceStore(tiny_store).column("track_id")
    seen = []
    for options in (
        (),
        ("--seed", "0"),
        ("--seed", "1"),
        ("--mask-ratio", "0.5"),
        ("--track", tracks[1]),
    ):
        assert run(*options) == 0
        seen.append(pixels(tmp_path / "masks" / "masks.png"))
    assert np.array_equal(seen[0], seen[1])
    assert all(not np.array_equal(seen[0], other) for other in seen[2:])


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
