"""Makes a tree of self-blended fakes in the layout of FaceForensics++.

    python recipes/benchmarks/synthetic_fakes.py VIDEOS OUT

The reals are the given face videos, cut to their main face; a fake is the same video
with its face pasted on itself: slightly warped, recoloured and blurred, with a soft
edge. Every "method" has other strengths and another region, named after those of
FaceForensics++ for their place in the tree; none of them is imitated. Reals and fakes
are encoded by H.264 at crf 23 (c23) and 40 (c40).

OUT gets `original_sequences/youtube/<c>/videos/000.mp4`,
`manipulated_sequences/<method>/<c>/videos/000_001.mp4`, `splits/{train,val,test}.json`
with pairs of ids, and `sources.json`. Videos of one person, told by dlib's embedding,
stay in one split. If too few people are told apart, as in the demo clips, which all
show one portrait, every video counts as a person. Without videos of one's own:

    python recipes/make_demo_videos.py demo_videos --clips 8 --frames 48

Exit status: 0 done; 2 bad arguments, or fewer than 6 videos with a face.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from self_blending import METHODS, fake_frames

from lightly_marlin.demo.clips import demo_clips
from lightly_marlin.faces import DlibEmbedder, find_faces, main_track
from lightly_marlin.preparation.video_files import find_videos
from lightly_marlin.utils.arguments import RecipeParser, positive_integer
from lightly_marlin.utils.console import console, one_line, progress, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import write_json
from lightly_marlin.video import VideoError, VideoReader, write_video

__all__ = ["demo_fakes", "make_fakes"]

Frames = NDArray[np.uint8]

_MIN_FRAMES = 16
_LONGEST_SIDE = 480

# dlib's own limit for two pictures is 0.6, but chains of many videos then join
# strangers. Among 50 real clips, the known videos of one person are below 0.44.
_SAME_PERSON = 0.45

# Share of the videos in val and in test; a pair each at least.
_HELD_OUT = 0.15
_MIN_VIDEOS = 6

_COMPRESSIONS = {"c23": "23", "c40": "40"}

_ENCODER = {"preset": "veryfast"}


@dataclass(frozen=True)
class _Real:
    """Real video: frames (T, H, W, 3) with the landmarks (T, 68, 2) of its face."""

    source: str
    frames: Frames
    landmarks: NDArray[np.float32]
    fps: float

    def embedding(self) -> NDArray[np.float64]:
        """Returns the mean embedding of three frames, to tell people apart."""
        embed = DlibEmbedder()
        rows = np.linspace(0, len(self.frames) - 1, 3).astype(int)
        vectors = []
        for row in rows:
            luma = np.asarray(Image.fromarray(self.frames[row]).convert("L"))
            vectors.append(embed(embed.portrait(luma, self.landmarks[row])))
        mean: NDArray[np.float64] = np.mean(vectors, axis=0)
        return mean


def make_fakes(
    videos: Path | str,
    out: Path | str,
    *,
    num_frames: int = 48,
    methods: Sequence[str] = tuple(METHODS),
    seed: int = 0,
) -> Path:
    """Makes a tree of reals and fakes; the same arguments give the same files.

    Args:
        videos: Folder, file pattern or file of videos with a face.
        out: Folder of the tree; must not exist, or be empty.
        num_frames: Most frames of a video.
        methods: Names in `METHODS`.
        seed: Seed of splits and fakes.

    Returns:
        The folder of the tree.

    Raises:
        UsageError: If fewer than 6 videos have a face of 16 frames or more, a method is
            unknown, or the folder holds something.
    """
    _check(Path(out), methods, num_frames)
    reals = _read_reals(videos, num_frames)
    return _make(Path(out), reals, _people(reals), methods, seed)


def demo_fakes(
    out: Path | str,
    *,
    num_videos: int = 8,
    num_frames: int = 48,
    methods: Sequence[str] = tuple(METHODS),
    seed: int = 0,
) -> Path:
    """Makes a tree from the built-in demo clips; see `make_fakes`.

    The clips all show one portrait, so every video counts as a person.
    """
    _check(Path(out), methods, num_frames)
    clips = demo_clips(num_videos, num_frames, seed=seed)
    found = [
        _main_face(clip.name, list(clip.frames), clip.fps, num_frames) for clip in clips
    ]
    reals = [real for real in found if real is not None]
    _check_count("The demo", reals)
    return _make(Path(out), reals, [], methods, seed)


def _check(out: Path, methods: Sequence[str], num_frames: int) -> None:
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods:
        raise UsageError(
            f"Invalid methods {', '.join(unknown) or 'none'}. Supported values are "
            f"{', '.join(METHODS)}."
        )
    if num_frames < _MIN_FRAMES:
        raise UsageError(f"Invalid frames {num_frames}: at least {_MIN_FRAMES}.")
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} holds something already. Name another folder.")


def _check_count(what: Path | str, reals: Sequence[_Real]) -> None:
    if len(reals) < _MIN_VIDEOS:
        raise UsageError(
            f"{what} has {len(reals)} videos with a face of {_MIN_FRAMES} frames. At "
            f"least {_MIN_VIDEOS} are needed: a pair for each of train, val and test."
        )


def _make(
    out: Path,
    reals: Sequence[_Real],
    people: Sequence[list[int]],
    methods: Sequence[str],
    seed: int,
) -> Path:
    splits = _split(len(reals), people, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".fakes-") as work:
        tree = Path(work) / "tree"
        _write_tree(tree, reals, splits, methods, seed)
        tree.replace(out)
    return out


def _read_reals(videos: Path | str, num_frames: int) -> list[_Real]:
    reals = []
    with progress() as bar:
        files = find_videos(videos)
        for file in bar.track(files, description="faces"):
            real = _read_real(file.path, file.source, num_frames)
            if real is None:
                console.print(
                    f"{one_line(file.source)}: no face of {_MIN_FRAMES} frames",
                    markup=False,
                )
            else:
                reals.append(real)
    _check_count(videos, reals)
    return reals


def _read_real(path: Path, source: str, num_frames: int) -> _Real | None:
    try:
        with VideoReader(path) as reader:
            frames = [_scaled(frame) for frame in islice(reader, 4 * num_frames)]
            fps = reader.fps
    except VideoError as error:
        raise UsageError(str(error)) from error
    # Frames of another size follow where a stream changes it.
    frames = [frame for frame in frames if frame.shape == frames[0].shape]
    return _main_face(source, frames, fps, num_frames)


def _main_face(
    source: str, frames: Sequence[Frames], fps: float, num_frames: int
) -> _Real | None:
    """Cuts a video to its main face; None without one."""
    tracks = find_faces(frames)
    if not tracks or main_track(tracks).num_frames < _MIN_FRAMES:
        return None
    track = main_track(tracks)
    count = min(num_frames, track.num_frames)
    kept = frames[track.start_frame : track.start_frame + count]
    return _Real(source, np.stack(kept), track.landmarks[:count], fps)


def _scaled(frame: Frames) -> Frames:
    """Returns a frame of at most the longest side, with even sides for the encoder."""
    height, width = frame.shape[:2]
    scale = min(1.0, _LONGEST_SIDE / max(height, width))
    size = (int(width * scale) // 2 * 2, int(height * scale) // 2 * 2)
    if size == (width, height):
        return frame
    picture = Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(picture)


def _people(reals: Sequence[_Real]) -> list[list[int]]:
    """Groups videos by person; close ones are joined in chains."""
    vectors = np.stack([real.embedding() for real in reals])
    near = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1) < _SAME_PERSON
    person = list(range(len(reals)))
    for first, second in np.argwhere(near).tolist():
        low, high = sorted((person[first], person[second]))
        person = [low if label == high else label for label in person]
    return [
        [index for index, label in enumerate(person) if label == one]
        for one in sorted(set(person))
    ]


def _split(count: int, people: Sequence[list[int]], seed: int) -> dict[str, list[int]]:
    """Returns an even number of videos for each split, without shared people.

    Args:
        count: Number of videos.
        people: Videos of each person; too few people, or none, make every video a
            person of its own.
        seed: Seed of the order.
    """
    wanted = 2 * max(1, round(_HELD_OUT * count / 2))
    for groups in (people, [[index] for index in range(count)]):
        splits: dict[str, list[int]] = {"train": [], "val": [], "test": []}
        for group in np.random.default_rng(seed).permutation(len(groups)).tolist():
            free = (
                name
                for name in ("test", "val")
                if len(splits[name]) + len(groups[group]) <= wanted
            )
            splits[next(free, "train")] += groups[group]
        if all(len(chosen) >= 2 for chosen in splits.values()):
            break
        if groups:
            console.print(
                f"Too few people for three splits ({len(people)}): every video counts "
                "as a person."
            )
    # A video without a partner cannot be in a pair.
    return {name: chosen[: len(chosen) // 2 * 2] for name, chosen in splits.items()}


def _write_tree(
    tree: Path,
    reals: Sequence[_Real],
    splits: dict[str, list[int]],
    methods: Sequence[str],
    seed: int,
) -> None:
    (tree / "splits").mkdir(parents=True)
    order = sorted(index for chosen in splits.values() for index in chosen)
    names = {index: f"{number:03}" for number, index in enumerate(order)}
    partner: dict[int, int] = {}
    for split, chosen in splits.items():
        pairs = list(zip(chosen[::2], chosen[1::2], strict=True))
        partner |= dict(pairs) | {b: a for a, b in pairs}
        text = json.dumps([[names[a], names[b]] for a, b in pairs])
        (tree / "splits" / f"{split}.json").write_text(text)
    with progress() as bar:
        for index in bar.track(order, description="fakes"):
            real = reals[index]
            _encode(
                tree / "original_sequences/youtube", names[index], real, real.frames
            )
            for method in methods:
                number = list(METHODS).index(method)
                generator = np.random.default_rng([seed, index, number])
                frames = fake_frames(
                    real.frames, real.landmarks, METHODS[method], generator, real.fps
                )
                name = f"{names[index]}_{names[partner[index]]}"
                _encode(tree / "manipulated_sequences" / method, name, real, frames)
    write_json(tree / "sources.json", {names[i]: reals[i].source for i in order})


def _encode(folder: Path, name: str, real: _Real, frames: Frames) -> None:
    for compression, crf in _COMPRESSIONS.items():
        path = folder / compression / "videos" / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, frames, real.fps, options={"crf": crf, **_ENCODER})


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Returns the options of the command line."""
    parser = RecipeParser(description="Make self-blended fakes of face videos.")
    parser.add_argument("videos", metavar="VIDEOS", help="folder of face videos")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder of the tree")
    parser.add_argument(
        "--frames",
        metavar="N",
        type=positive_integer,
        default=48,
        help="most frames of a video, at least 16 (default: 48)",
    )
    parser.add_argument(
        "--methods",
        metavar="NAME",
        nargs="+",
        default=list(METHODS),
        help=f"some of {', '.join(METHODS)} (default: all)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of splits and fakes")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the tree; returns the exit status."""
    options = parse_arguments(arguments)
    try:
        make_fakes(
            options.videos,
            options.out,
            num_frames=options.frames,
            methods=options.methods,
            seed=options.seed,
        )
    except OSError as error:
        raise UsageError(
            f"The folder {options.out} cannot be written: {error.strerror or error}. "
            "Choose another."
        ) from error
    count = len(list(options.out.rglob("*.mp4")))
    console.print(f"{count} videos in {options.out}", markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "demo"))
