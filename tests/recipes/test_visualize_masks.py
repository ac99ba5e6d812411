import numpy as np
import pytest
import torch
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
    """A row with the clip, six strategies and the decoded half; all differ.

    Least do tube and motion, which begin with the same mask in this quiet clip.
    """
    assert run() == 0
    sheet = pixels(tmp_path / "masks" / "masks.png")
    assert sheet.shape[1:] == (8 * 162, 3)
    rows = sheet[: 8 * 176].reshape(8, 176, -1, 3)[:, 16:]
    for first in range(8):
        for second in range(first):
            assert np.abs(rows[first] - rows[second]).mean() > 0.1
    with Image.open(tmp_path / "masks" / "masks.gif") as animation:
        assert animation.n_frames > 4


def test_covered_regions_are_named(load_recipe, tiny_store):
    """CRFR-P hides one of them; what is not all hidden is not named."""
    module = load_recipe("visualize_masks")
    clip = module.choose_clip(str(tiny_store), None)
    every = module.covered_regions(clip, torch.arange(1568))
    assert {"eyes", "nose", "mouth", "face boundary"} <= set(every)
    assert module.covered_regions(clip, torch.arange(0)) == []
    drawn = set()
    for seed in range(12):
        crfrp = module.draw_masks(clip, 0.5, seed)["crfrp"]
        named = module.covered_regions(clip, crfrp)
        assert named
        drawn |= set(named)
    assert len(drawn) > 2


def test_options_reach_the_masks(load_recipe, tiny_store):
    module = load_recipe("visualize_masks")
    clip = module.choose_clip(str(tiny_store), None)
    first, again, other = (module.draw_masks(clip, 0.9, seed) for seed in (0, 0, 1))
    half = module.draw_masks(clip, 0.5, 0)
    for name, idx_mask in first.items():
        assert torch.equal(idx_mask, again[name])
        assert not torch.equal(idx_mask, other[name])
        assert len(half[name]) < len(idx_mask)
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
