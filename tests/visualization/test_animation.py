import numpy as np
import pytest
from PIL import Image

from lightly_marlin.regions import Label
from lightly_marlin.visualization import write_gif
from lightly_marlin.visualization.mask_overlay import REGION_COLORS


@pytest.mark.parametrize(("seconds", "pause"), [(1.5, 300), (0.01, 60), (60, 500)])
def test_a_gif_plays_at_its_pace(tmp_path, seconds, pause):
    pictures = [Image.new("RGB", (40, 30), (50 * index,) * 3) for index in range(5)]
    write_gif(tmp_path / "a.gif", pictures, seconds)
    with Image.open(tmp_path / "a.gif") as animation:
        assert (animation.n_frames, animation.size) == (5, (40, 30))
        assert animation.info["duration"] == pause
        assert animation.info["loop"] == 0


def test_rare_colours_survive(tmp_path):
    """A patch of 1 % in the colour of eyes, in a picture of every shade of brown."""
    shades = np.random.default_rng(0).integers(0, 120, (200, 200, 1))
    pixels = (shades * (1.0, 0.8, 0.6)).astype(np.uint8)
    eye = np.array(REGION_COLORS[Label.LEFT_EYE]) * 255
    pixels[:20, :20] = eye
    write_gif(tmp_path / "a.gif", [Image.fromarray(pixels)] * 2, 1)
    with Image.open(tmp_path / "a.gif") as animation:
        shown = np.asarray(animation.convert("RGB"), dtype=float)
    assert np.abs(shown[:20, :20] - eye).max() < 24
