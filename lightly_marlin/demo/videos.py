"""Demo clips as video files, for anything that takes a folder of videos."""

from __future__ import annotations

from pathlib import Path

from lightly_marlin.utils.console import progress
from lightly_marlin.video import write_video

__all__ = ["write_demo_videos"]


def write_demo_videos(
    folder: Path | str,
    *,
    num_clips: int = 12,
    num_frames: int = 64,
    seed: int = 0,
    talking: bool = False,
) -> list[Path]:
    """Writes demo clips as H.264 videos; files of the same names are replaced.

    Args:
        folder: Folder of the videos; created if it does not exist.
        num_clips: Number of clips, at least 1.
        num_frames: Frames per clip, 25 per second, at least 1.
        seed: Seed of the clips' motion.
        talking: Write `talking_clips`, with their sound.

    Returns:
        Paths of the videos, `demo_00.mp4` and so on; `talking_00.mp4` of those with
        sound.

    Raises:
        ValueError: If a number is below its minimum.
        OSError: If a file cannot be written.
    """
    # Imported here because the clips need kornia and dlib, but opening a demo store
    # does not.
    from lightly_marlin.demo.clips import TalkingClip, demo_clips, talking_clips

    for name, value in (("num_clips", num_clips), ("num_frames", num_frames)):
        if value < 1:
            raise ValueError(f"Invalid {name} {value}: must be at least 1.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with progress() as bar:
        task = bar.add_task("demo clips", total=num_clips, unit="clips")
        make = talking_clips if talking else demo_clips
        for clip in make(num_clips, num_frames, seed=seed):
            paths.append(folder / f"{clip.name}.mp4")
            sound = clip.samples if isinstance(clip, TalkingClip) else None
            write_video(paths[-1], clip.frames, clip.fps, audio=sound)
            bar.advance(task)
    return paths
