import pytest

from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import CropOptions
from lightly_marlin.store.crop_arguments import (
    add_crop_arguments,
    crop_options,
    crops_faces,
)
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.errors import UsageError


def parse(*arguments):
    parser = RecipeParser()
    for name in ("--crop-face", "--all-faces"):
        parser.add_argument(name, action="store_true")
    add_crop_arguments(parser)
    return parser.parse_args(arguments)


def test_options_of_a_command_line():
    assert crop_options(parse()) == CropOptions()
    found = crop_options(parse("--min-face", "9", "--detector", "hog", "--align-eyes"))
    assert found == CropOptions(min_face=9, detector="hog", align_eyes=True)
    with pytest.raises(UsageError, match="invalid choice: 'dog'"):
        parse("--detector", "dog")


def test_options_of_a_store(videos, fake_faces, tmp_path):
    store = str(tmp_path / "store")
    prepare_videos(videos, store, num_workers=0, align_eyes=True)
    options = parse("--crops-like", store)
    assert crop_options(options) == CropOptions(align_eyes=True)
    options = parse("--crops-like", store, "--align-eyes", "--min-face", "40")
    with pytest.raises(UsageError, match="drop --min-face and --align-eyes"):
        crop_options(options)
    with pytest.raises(UsageError, match="no face store"):
        crop_options(parse("--crops-like", str(tmp_path)))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), False),
        (("--min-face", "50"), False),
        (("--crop-face",), True),
        (("--all-faces",), True),
        (("--detector", "auto"), True),
        (("--align-eyes",), True),
        (("--crops-like", "store"), True),
    ],
)
def test_which_options_ask_for_faces(arguments, expected):
    assert crops_faces(parse(*arguments)) == expected
