from fractions import Fraction

import numpy as np
import pytest

from lightly_marlin.video.display import Orientation, display_size, orientation_of

UNIT = 1 << 16


def matrix(a, b, c, d):
    parts = (a, b, 0, c, d, 0, 0, 0)
    numbers = [round(UNIT * part) for part in parts]
    return np.array([*numbers, 1 << 30], np.int32).tobytes()


def shown(image, a, b, c, d):
    """The definition: pixel (x, y) goes to (a x + c y, b x + d y), moved into view."""
    height, width = image.shape
    y, x = np.mgrid[:height, :width]
    to_x, to_y = a * x + c * y, b * x + d * y
    to_x, to_y = to_x - to_x.min(), to_y - to_y.min()
    result = np.empty((to_y.max() + 1, to_x.max() + 1), image.dtype)
    result[to_y, to_x] = image
    return result


RIGHT_ANGLED = [
    (a, b, c, d)
    for a in (-1, 0, 1)
    for b in (-1, 0, 1)
    for c in (-1, 0, 1)
    for d in (-1, 0, 1)
    if abs(a * d - b * c) == 1 and abs(a) + abs(c) == 1 and abs(b) + abs(d) == 1
]


def test_there_are_eight_right_angled_matrices():
    assert len(RIGHT_ANGLED) == 8


@pytest.mark.parametrize("numbers", RIGHT_ANGLED)
def test_orientation__as_the_matrix_defines_it(numbers):
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    turned = orientation_of(matrix(*numbers)).apply(image)
    np.testing.assert_array_equal(turned, shown(image, *numbers))
    assert turned.flags.c_contiguous
    assert not np.shares_memory(turned, image)
    # The same for every channel of a picture.
    colours = np.stack([image, image + 10, image + 20], axis=-1)
    np.testing.assert_array_equal(
        orientation_of(matrix(*numbers)).apply(colours)[..., 1], turned + 10
    )


def test_orientation__the_nearest_where_the_matrix_is_at_an_angle_or_scales():
    tilted = np.deg2rad(100)
    cos, sin = np.cos(tilted), np.sin(tilted)
    assert orientation_of(matrix(cos, sin, -sin, cos)) == Orientation(True, True, False)
    assert orientation_of(matrix(0.5, 0, 0, -2)) == Orientation(mirrored_y=True)


@pytest.mark.parametrize("nothing", [None, b"", b"short", matrix(0, 0, 0, 0)])
def test_orientation__as_stored_without_a_direction(nothing):
    assert orientation_of(nothing) == Orientation()


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        (Fraction(2), (192, 64)),
        (Fraction(1, 2), (96, 128)),
        (Fraction(4, 3), (128, 64)),
        (Fraction(64, 45), (137, 64)),
        (Fraction(8, 9), (96, 72)),
        (Fraction(1), (96, 64)),
        (None, (96, 64)),
        (Fraction(0), (96, 64)),
        (Fraction(1000), (96, 64)),
        (Fraction(1, 1000), (96, 64)),
        (Fraction(-2), (96, 64)),
    ],
)
def test_display_size__enlarges_the_shorter_direction(ratio, size):
    assert display_size(96, 64, ratio, 10**6) == size


def test_display_size__shrinks_what_would_be_too_large():
    assert display_size(96, 64, Fraction(2), 96 * 64) == (96, 32)
    assert display_size(96, 64, Fraction(1, 2), 96 * 64) == (48, 64)
