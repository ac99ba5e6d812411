"""Media files: errors in one line, which survive a trip between processes."""

import contextlib
import pickle
from pathlib import Path

import pytest

from lightly_marlin.audio import AudioError
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.media import MediaError, open_media
from lightly_marlin.video import VideoError, write_video


@pytest.mark.parametrize("kind", [MediaError, VideoError, AudioError])
def test_media_error__text_attributes_and_pickle(kind):
    error = pickle.loads(pickle.dumps(kind(Path("a.mp4"), "is broken")))
    assert isinstance(error, (kind, UsageError))
    assert (str(error), error.path, error.reason) == (
        "a.mp4: is broken",
        "a.mp4",
        "is broken",
    )


@pytest.mark.parametrize("noun", ["video", "recording"])
def test_open_media__refuses_lists_of_files(tmp_path, make_frames, noun):
    write_video(tmp_path / "b.mp4", make_frames(4))
    path = tmp_path / "a.txt"
    path.write_text("ffconcat version 1.0\nfile b.mp4\n")
    with (
        contextlib.ExitStack() as resources,
        pytest.raises(MediaError, match=f"is a list of {noun}s, not a {noun}"),
    ):
        open_media(path, resources, noun, MediaError)
