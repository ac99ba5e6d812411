"""Expected tracks in the real clips, for `faces.py`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video.reader import iter_frames

MIN_FRAMES = 16
TOLERANCE = 3

Track = tuple[int, int, str]

# Frames [first, last) with a visible face, annotated by hand. A face at the edge counts
# once half of it is visible, one in a fade from its first outline.
VISIBLE = {
    "face_then_no_face_01.mov": [(0, 72)],
    "x_no_face_then_face_01.mov": [(96, 168)],
    "face_leaves_frame_pan_01.mp4": [(0, 57), (151, 180)],
    "near_crop_fade_in_dark_01.mp4": [(8, 27)],
    "wild_fade_in_dark_01.mp4": [(6, 90)],
}

NO_FACE = {
    "no_face_animation_01.mp4",
    "no_face_person_back_01.mp4",
    "x_crowd_from_above_01.mp4",
}

# All people are visible in all frames, and nothing else is a face: no shirt, no poster.
PEOPLE = {
    "multi_face_pair_01.mp4": 2,
    "x_sign_01.mkv": 1,
    "x_sign_02.mkv": 1,
    "x_sign_03.mkv": 1,
}

LEAST_TRACKS = {"multi_face_crowd_01.mp4": 3}

LEAST_COVERAGE = {"talking_head_profile_01.mp4": 0.95}


@dataclass(frozen=True)
class Clip:
    """A clip with its row of the table.

    Attributes:
        path: The video.
        num_frames: Number of frames that can be decoded.
        rate: Share of 25 frames in which a detector finds a face.
    """

    path: Path
    num_frames: int
    rate: float


def read_clips(data: Path, only: list[str] | None = None) -> list[Clip]:
    """Reads the table of a folder of clips.

    Args:
        data: A folder with SOURCES.md.
        only: File names to keep; None for all.

    Raises:
        UsageError: If there is no table, or no clip that it names.
    """
    table = data / "SOURCES.md"
    if not table.is_file():
        raise UsageError(f"{data} holds no SOURCES.md with a table of clips.")
    clips = []
    for line in table.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        path = data / cells[0]
        if not re.fullmatch(r"(more_)?videos/\S+", cells[0]) or not path.is_file():
            continue
        if only is None or path.name in only:
            count = sum(1 for _ in iter_frames(path))
            clips.append(Clip(path, count, float(cells[8])))
    if not clips:
        raise UsageError(f"{table} names no clip that lies beside it.")
    return clips


def judge(clip: Clip, main: list[Track], every: list[Track]) -> dict[str, Any]:
    """Compares the tracks of a clip with the expected ones.

    Args:
        clip: The clip.
        main: Tracks of the clip when only the main face is kept.
        every: Tracks of the clip when all faces are kept.
    """
    name = clip.path.name
    covered = max((end - start for start, end, _ in main), default=0)
    coverage = covered / clip.num_frames
    if name in NO_FACE:
        expected, right = "no track", not every
    elif name in VISIBLE:
        spans = [span for span in VISIBLE[name] if span[1] - span[0] >= MIN_FRAMES]
        expected = "tracks " + ", ".join(f"{a}-{b}" for a, b in spans)
        right = len(spans) == len(every) and all(
            abs(a - start) <= TOLERANCE and abs(b - end) <= TOLERANCE
            for (a, b), (start, end, _) in zip(spans, every, strict=True)
        )
    elif name in LEAST_TRACKS:
        expected = f"at least {LEAST_TRACKS[name]} tracks"
        right = len(every) >= LEAST_TRACKS[name]
    elif name in PEOPLE:
        expected = f"{PEOPLE[name]} tracks, of all frames"
        right = len(every) == PEOPLE[name] == len({who for _, _, who in every})
        right = right and all(b - a >= 0.99 * clip.num_frames for a, b, _ in every)
    elif clip.num_frames < MIN_FRAMES:
        expected, right = f"no track of {clip.num_frames} frames", not every
    else:
        least = 0.99 if clip.rate == 1.0 else LEAST_COVERAGE.get(name, 0.0)
        expected = f"{least:.0%} of the frames" if least else "nothing said"
        right = coverage >= least
    return {
        "clip": name,
        "frames": clip.num_frames,
        "rate25": clip.rate,
        "expected": expected,
        "tracks": [[start, end] for start, end, _ in every],
        "people": len({who for _, _, who in every}),
        "main_covers": round(coverage, 4),
        "right": right,
    }
