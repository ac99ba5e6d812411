"""FaceForensics++: real and manipulated videos, at the level of videos.

The tree is the official one: `original_sequences/youtube/<c>/videos/<a>.mp4` and
`manipulated_sequences/<method>/<c>/videos/<a>_<b>.mp4` with c40, c23, or raw (also
called c0). The official splits are lists of pairs: a pair (a, b) puts the originals a
and b and the fakes a_b and b_a of every method into its split, and is one group. A
random split would show a test face in training.

- [0]: FaceForensics++: Learning to Detect Manipulated Facial Images, 2019
- [1]: https://github.com/ondyari/FaceForensics, dataset/ (layout, splits)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lightly_marlin.evaluation.labels.label_table import SPLITS, LabelTable
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.tasks.problems import Problems, some
from lightly_marlin.evaluation.tasks.task import Published, Task
from lightly_marlin.utils.errors import UsageError

__all__ = ["METHODS", "TASKS"]

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
"""Methods of the original data set; FaceShifter was added later."""

_COMPRESSIONS = ("c0", "raw", "c23", "c40")
_UNPAIRED = "DeepFakeDetection"

Pair = tuple[str, str]


@dataclass
class _Tree:
    """Folders of a tree, with everything that is found to be wrong."""

    root: Path
    compression: str
    problems: Problems
    found: list[str] = field(default_factory=list)

    def videos(self, source: str) -> str:
        """Returns the folder of a source's videos, a POSIX path below the root.

        Args:
            source: For example "manipulated_sequences/Deepfakes".
        """
        raw = self.compression in ("c0", "raw")
        names = ("raw", "c0") if raw else (self.compression,)
        folders = [f"{source}/{name}/videos" for name in names]
        there = [folder for folder in folders if (self.root / folder).is_dir()]
        if not there:
            self.problems.add(f"the folder {' or '.join(folders)} is missing")
            return folders[0]
        self.found += [
            f"{there[0]}/{path.name}"
            for path in sorted((self.root / there[0]).glob("*.mp4"))
        ]
        return there[0]


def faceforensics(
    root: Path,
    *,
    methods: Sequence[str] = METHODS,
    compression: str = "c40",
    splits: str = "",
    train_methods: Sequence[str] = (),
    test_methods: Sequence[str] = (),
) -> LabelTable:
    """Returns the real (0) and fake (1) videos of the official splits.

    Videos that are in a split but not on disk stay items, so that they are counted.

    Args:
        root: Folder of original_sequences and manipulated_sequences.
        methods: Names of the methods.
        compression: "c40", "c23" or "raw" (also "c0").
        splits: Folder of train.json, val.json and test.json; `splits` or
            `dataset/splits` below the root if empty.
        train_methods: Methods in train and val instead of `methods`.
        test_methods: Methods in test instead of `methods`: other ones than in train
            tell how a detector does on a method it never saw.

    Raises:
        UsageError: If an option is invalid, or the tree is not complete; all faults in
            one go.
    """
    _check_compression(compression)
    trained, tested = tuple(train_methods or methods), tuple(test_methods or methods)
    used = _all_methods(trained, tested)
    tree = _Tree(root, compression, Problems(root))
    pairs = _read_pairs(root, splits, tree.problems)
    reals = tree.videos("original_sequences/youtube")
    fakes = {name: tree.videos(f"manipulated_sequences/{name}") for name in used}
    videos, labels, groups, of_split = [], [], [], []
    for split, (a, b) in pairs:
        chosen = tested if split == "test" else trained
        real = [f"{reals}/{name}.mp4" for name in (a, b)]
        fake = [
            f"{fakes[method]}/{name}.mp4"
            for method in chosen
            for name in (f"{a}_{b}", f"{b}_{a}")
        ]
        videos += real + fake
        labels += [[0.0]] * len(real) + [[1.0]] * len(fake)
        groups += ["_".join(sorted((a, b)))] * len(real + fake)
        of_split += [split] * len(real + fake)
    _check_videos(tree, pairs)
    tree.problems.report()
    return LabelTable.make(
        Target("binary", ("fake",)),
        videos,
        labels,
        groups=groups,
        splits=of_split,
        name="faceforensics",
        notes=_notes(tree, trained, tested, videos),
    )


def _check_compression(compression: str) -> None:
    if compression not in _COMPRESSIONS:
        raise UsageError(
            f"Invalid compression {compression!r} of faceforensics. Supported values "
            f"are {', '.join(_COMPRESSIONS)}."
        )


def _all_methods(trained: Sequence[str], tested: Sequence[str]) -> tuple[str, ...]:
    used = tuple(dict.fromkeys((*trained, *tested)))
    if not trained or not tested or _UNPAIRED in used:
        raise UsageError(
            f"Invalid methods {', '.join(used) or 'none'} of faceforensics: at least "
            f"one is needed, and {_UNPAIRED} has no official splits: give its videos "
            "and labels as a CSV."
        )
    return used


def _notes(
    tree: _Tree, trained: Sequence[str], tested: Sequence[str], videos: Sequence[str]
) -> list[str]:
    notes = [f"Compression {tree.compression}; fakes by {', '.join(trained)}."]
    if set(trained) != set(tested):
        notes.append(f"Fakes in test are by {', '.join(tested)}.")
    missing = sorted(set(videos) - set(tree.found))
    if missing:
        notes.append(f"Videos that are not on disk: {len(missing):,}: {some(missing)}.")
    return notes


def _read_pairs(root: Path, splits: str, problems: Problems) -> list[tuple[str, Pair]]:
    """Returns split and ids of all pairs."""
    usual = [root / "splits", root / "dataset" / "splits"]
    places = [Path(splits)] if splits else usual
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        problems.add(
            f"the folder {' or '.join(map(str, places))} of the splits is missing: "
            "take it from github.com/ondyari/FaceForensics, or name it with the option "
            "splits"
        )
        return []
    found: list[tuple[str, Pair]] = []
    split_of: dict[str, str] = {}
    for split in SPLITS:
        for index, pair in enumerate(_read_list(folder / f"{split}.json", problems)):
            place = f"pair {index} of {split}.json"
            if (
                not isinstance(pair, list)
                or len(pair) != 2
                or not all(isinstance(name, str) and name for name in pair)
                or pair[0] == pair[1]
            ):
                problems.add(f"{place} is {pair!r}, not two ids as text")
                continue
            for name in pair:
                if name in split_of:
                    problems.add(
                        f"{place} has the video {name}, which is in {split_of[name]} "
                        "already"
                    )
                split_of[name] = place
            found.append((split, (pair[0], pair[1])))
    return found


def _read_list(path: Path, problems: Problems) -> list[object]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.add(f"{path} cannot be read: {error.strerror or error}")
        return []
    except ValueError as error:
        problems.add(f"{path} is not JSON: {error}")
        return []
    if not isinstance(values, list) or not values:
        problems.add(f"{path} is not a list of pairs")
        return []
    return values


def _check_videos(tree: _Tree, pairs: Sequence[tuple[str, Pair]]) -> None:
    """Notes empty folders and videos that no split knows."""
    if not pairs:
        # Every video would be unknown.
        return
    names = {name for _, (a, b) in pairs for name in (a, b, f"{a}_{b}", f"{b}_{a}")}
    unknown = [
        video for video in tree.found if video.rpartition("/")[2][:-4] not in names
    ]
    if unknown:
        what = "video is" if len(unknown) == 1 else "videos are"
        tree.problems.add(f"{len(unknown):,} {what} in no split: {some(unknown)}")
    if not tree.found and not tree.problems:
        tree.problems.add("its folders of videos are empty")


_LEVEL_UNKNOWN = (
    "methods, compression and whether frames, clips or videos are scored are not stated"
)

TASKS = (
    Task(
        "faceforensics",
        faceforensics,
        primary=("auc/flat", "eer", "balanced_accuracy"),
        crops="videos",
        published=tuple(
            Published(f"MARLIN, {size}", {"auc, level unknown": value}, _LEVEL_UNKNOWN)
            for size, value in (("small", 0.8863), ("base", 0.9305), ("large", 0.9377))
        ),
    ),
)
"""Tasks of this data set."""
