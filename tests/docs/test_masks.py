"""The list of masks in the docs is that of the registry."""

from pathlib import Path

from lightly_marlin.transforms.registry import mask_table

TEXT = (Path(__file__).parents[2] / "docs" / "masks.md").read_text(encoding="utf-8")


def test_masks__table_is_that_of_the_registry():
    table = TEXT.split("<!-- masks -->\n")[1].split("\n<!-- end of masks -->")[0]
    assert table == mask_table().strip()
