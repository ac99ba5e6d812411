import numpy as np
import pytest
from PIL import Image

from lightly_marlin.regions import Label
from lightly_marlin.visualization import write_gif
from lightly_marlin.visualization.mask_overlay import REGION_COLORS


@pytest.mark.parametrize(("seconds", "pause"), [(1.5, 300), (0.01, 20), (60, 500)])
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


def pauses(path):
    with Image.open(path) as animation:
        found = []
        for index in range(animation.n_frames):
            animation.seek(index)
            found.append(animation.info["duration"])
    return found


@pytest.mark.parametrize("rate", [15.0, 14.985, 16.5, 12.5, 26.38])
def test_the_round_takes_its_time(tmp_path, rate):
    """Pauses are whole hundredths of a second, but their errors do not add up."""
    pictures = [Image.new("RGB", (40, 30)) for _ in range(30)]
    for index, picture in enumerate(pictures):
        picture.putpixel((index, 3), (255, 0, 0))
    write_gif(tmp_path / "a.gif", pictures, 30 / rate)
    found = pauses(tmp_path / "a.gif")
    assert sum(found) == pytest.approx(30_000 / rate, abs=5.1)
    assert max(found) - min(found) <= 10


def test_equal_pictures_stand_as_long(tmp_path):
    pictures = [Image.new("RGB", (9, 9), (level,) * 3) for level in (0, 90, 90, 90)]
    write_gif(tmp_path / "a.gif", pictures, 1)
    assert pauses(tmp_path / "a.gif") in ([250, 750], [250] * 4)


def test_paper_stays_white(tmp_path):
    noise = np.random.default_rng(0).integers(200, 256, (200, 200, 3), dtype=np.uint8)
    noise[:, 150:] = 255
    write_gif(tmp_path / "a.gif", [Image.fromarray(noise)] * 2, 1)
    with Image.open(tmp_path / "a.gif") as animation:
        assert (np.asarray(animation.convert("RGB"))[:, 150:] == 255).all()
