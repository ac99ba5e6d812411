"""Labels from folders: one folder of videos per class, perhaps within splits."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.split_names import split_name
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.preparation import find_videos
from lightly_marlin.utils.errors import UsageError

__all__ = ["folder_labels"]

_LAYOUT = (
    "Expected are FOLDER/<class>/<video>, or FOLDER/{train,val,test}/<class>/<video>."
)


def folder_labels(root: Path | str) -> LabelTable:
    """Makes a multiclass table of the videos below a folder.

    The names of the folders are the classes. If all of them are names of splits and
    hold folders themselves, those are the classes. Videos may lie deeper, in folders of
    persons or recordings.

    Args:
        root: A folder with one folder of videos per class, or with the folders train,
            test and perhaps val (or valid, validation, dev) of such folders.

    Returns:
        Table whose videos are POSIX paths relative to `root`, as those of a store that
        was made from it.

    Raises:
        UsageError: If there are no videos, one lies in no class, or there is one class
            only.
    """
    root = Path(root)
    videos = [video.source for video in find_videos(root)]
    folders = [PurePosixPath(video).parts[:-1] for video in videos]
    splits = None
    if all(len(parts) > 1 and split_name(parts[0]) for parts in folders):
        splits = [split_name(parts[0]) or "" for parts in folders]
        folders = [parts[1:] for parts in folders]
    for video, parts in zip(videos, folders, strict=True):
        if not parts:
            raise UsageError(f"The video {root / video} is in no class. {_LAYOUT}")
    classes = sorted({parts[0] for parts in folders})
    if len(classes) == 1:
        raise UsageError(
            f"{root} has videos of one class only, {classes[0]!r}: there is nothing to "
            f"tell apart. {_LAYOUT}"
        )
    codes = {name: float(index) for index, name in enumerate(classes)}
    return LabelTable.make(
        Target("multiclass", tuple(classes)),
        videos,
        [[codes[parts[0]]] for parts in folders],
        splits=splits,
        name=root.resolve().name,
    )
