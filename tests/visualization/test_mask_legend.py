import numpy as np
import pytest

from lightly_marlin.regions import Label
from lightly_marlin.visualization.mask_legend import mask_legend
from lightly_marlin.visualization.mask_overlay import REGION_COLORS


def has_color(picture, label):
    color = (np.array(REGION_COLORS[label], dtype=np.float32) * 255).round()
    return bool((np.asarray(picture) == color).all(axis=-1).any())


def test_mask_legend__every_colour_of_a_region():
    legend = mask_legend(1200, regions=True, undecoded=False)
    assert all(has_color(legend, label) for label in Label)


def test_mask_legend__without_regions_the_paint_is_that_of_background():
    legend = mask_legend(1200, regions=False, undecoded=False)
    assert [label for label in Label if has_color(legend, label)] == [Label.BACKGROUND]


@pytest.mark.parametrize("regions", [True, False])
def test_mask_legend__hatching_is_explained_where_it_occurs(regions):
    widths = [
        np.asarray(mask_legend(1200, regions=regions, undecoded=undecoded)).min(axis=-1)
        for undecoded in (False, True)
    ]
    ends = [int((picture < 250).any(axis=0).nonzero()[0].max()) for picture in widths]
    assert ends[1] > ends[0] + 100


def test_mask_legend__goes_on_in_more_lines():
    heights = [
        mask_legend(width, regions=True, undecoded=True).height
        for width in (1200, 400, 60)
    ]
    assert heights[0] < heights[1] < heights[2]
