import numpy as np
from PIL import Image

from lightly_marlin.visualization import Example, ExampleRow, example_sheet


def test_lowest_stand_left_and_highest_right():
    def example(color):
        return Example(Image.new("RGB", (224, 224), color), 0.5, "name.mp4")

    red, blue = (250, 10, 10), (10, 10, 250)
    rows = [ExampleRow("a", [example(red)] * 2, [example(blue)] * 2)] * 3
    sheet = np.asarray(example_sheet(rows))
    where = [np.nonzero((sheet == c).all(axis=-1)) for c in (red, blue)]
    assert where[0][1].max() < where[1][1].min()
    assert len(where[0][0]) == len(where[1][0]) == 3 * 2 * 120 * 120
