"""Dubs a video: its main face speaks another sound.

    python recipes/dub.py VIDEO SOUND OUT.mp4 --model W

Only dub people who have agreed to it. Whoever sees the result should know that it is
one: the metadata of OUT carry a note that its lips are generated. Keep it, and say so
wherever you show the video.

Features:
- SOUND is a sound file or a video with sound. W is a folder that save_pretrained
  of LipSyncGenerator or Wav2LipGenerator wrote.
- The main face, the largest and longest, is found and followed as everywhere else, and
  its mouth is replaced behind a mask with soft edges. All else stays as it is, and so
  do frame rate, number and times of the frames. It is said which face that is, where it
  is not seen, and whether sound was cut or silence added.
- Windows of the encoder's frames overlap (--stride), and their results are averaged.
- Memory does not grow with the number of frames.
- OUT is written beside its place and renamed when it is whole.

Exit status: 0 when done; 2 for bad arguments, a video without a face or pictures, a
sound that is unreadable or shorter than five frames, or a model that is none; nothing
is written then.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lightly_marlin.store.crop_arguments import add_crop_arguments, crop_options
from lightly_marlin.utils.arguments import RecipeParser, positive_integer
from lightly_marlin.utils.console import console, one_line, progress, run_recipe
from lightly_marlin.utils.errors import UsageError

SUFFIXES = (".mp4", ".mov", ".mkv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Dubs as the command line says.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If the input cannot be used, or OUT cannot be written.
    """
    options = parse_arguments(arguments)
    check_out(options)
    from lightly_marlin.lip_sync import load_generator, plan_dub, write_dub
    from lightly_marlin.utils.device import choose_device

    device = choose_device(options.device)
    generator = load_generator(options.model).to(device)
    window = generator.num_frames
    if window and options.stride and options.stride > window:
        raise UsageError(
            f"Invalid --stride {options.stride}: must be at most the {window} frames "
            "of a window, so that no frame is left out."
        )
    with progress() as bar:
        task = bar.add_task("looking for the face", total=None, unit="frames")
        plan = plan_dub(options.video, options.sound, crop_options(options))
        bar.remove_task(task)
        for note in plan.notes():
            console.print(one_line(note), markup=False, soft_wrap=True)
        total = plan.faces.num_frames
        task = bar.add_task("dubbing", total=total, unit="frames")
        try:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            write_dub(
                plan,
                generator,
                options.out,
                stride=options.stride,
                batch_size=options.batch_size,
                on_frame=lambda: bar.advance(task),
            )
        except OSError as error:
            raise UsageError(
                f"{options.out} cannot be written: {error.strerror or error}."
            ) from error
    text = (
        f"{options.out} has {total} frames at {float(plan.fps):.5g} per second; its "
        "metadata say that the lips are generated."
    )
    console.print(one_line(text), markup=False, soft_wrap=True)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(
        description="Dub a video: its main face speaks another sound. Only dub people "
        "who have agreed to it; the metadata of the result say that the lips are "
        "generated."
    )
    add = parser.add_argument
    add("video", metavar="VIDEO", type=Path, help="video of a face")
    add("sound", metavar="SOUND", type=Path, help="sound file, or video with sound")
    add("out", metavar="OUT", type=Path, help="video to write: .mp4, .mov or .mkv")
    add(
        "--model",
        required=True,
        metavar="W",
        help="folder of a generator, or repository of the Hub",
    )
    add(
        "--stride",
        type=positive_integer,
        metavar="N",
        help="frames between the starts of two windows; fewer are smoother and slower "
        "(default: half a window, MARLIN's 8)",
    )
    add(
        "--batch-size",
        type=positive_integer,
        metavar="N",
        help="windows that are generated together (default: 1 on a CPU, 4 on a GPU)",
    )
    add("--device", default="auto", help="such as cpu or cuda:1 (default: a GPU)")
    add_crop_arguments(parser)
    return parser.parse_args(arguments)


def check_out(options: argparse.Namespace) -> None:
    """Checks that OUT is a video file of its own.

    Raises:
        UsageError: If its suffix is another one, it is a folder, or it would replace
            what is read.
    """
    out = options.out
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{out} must end in one of {', '.join(SUFFIXES)}.")
    if out.is_dir():
        raise UsageError(f"{out} is a folder; give the name of a video file in it.")
    for name, path in (("VIDEO", options.video), ("SOUND", options.sound)):
        if out.exists() and path.exists() and out.samefile(path):
            raise UsageError(
                f"{out} is {name} itself, which would be lost; give another name."
            )


if __name__ == "__main__":
    sys.exit(run_recipe(main, "faces"))
