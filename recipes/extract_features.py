"""Extracts features of face videos.

    python recipes/extract_features.py VIDEOS OUT --weights run/model --crop-face

writes for every video `OUT/<relative path without suffix>.npy`, float32 with a row per
window (windows, D), and `OUT/index.parquet`: source, track_id, file, row, start_frame,
start_seconds, num_frames, middle_seconds and face_width of every row (and stretch_start
and stretch_end, which only Python's `segments` fill). `OUT/report.json` has the outcome
of every video; one without a face gets a file with no rows and the status "no_face".

Features:
- VIDEOS is a folder (searched recursively), one file, or a glob pattern in quotes.
- Windows of 16 frames, every second frame of the video, over its whole length: each
  starts where the previous one ends (--stride 16, in sampled frames), the final one
  ends with the video, and only shorter videos are padded, by repeating their last
  frame. --reference-windows cuts as marlin-pytorch 0.3.4 does, which drops the tail.
- --crop-face finds and tracks the main face, and encodes smooth crops of it;
  --all-faces encodes every face. Without them, the frames count as crops of a face.
- --crops-like STORE uses the crop options of the store that the model was trained on;
  --detector and --align-eyes set them individually. All four imply --crop-face.
- --reduction mean or max makes one row per track; --keep-seq keeps all tokens, and
  --pool-tokens 2 their means over 2x2 patches; --half writes float16.
- Batches fill across windows and videos; --workers processes read and crop (by default
  one per core), each holding a window or two. A video whose decoder crashes, or is
  killed for its memory use, is reported as failed and the others continue; with
  --workers 0 everything runs in one process, which such a crash ends.
- --precision bf16 is faster on hardware with bf16 matrix multiplication.
- Resumable: kill it at any moment and run the same command again. Finished videos are
  skipped; changed and failed ones are processed again.
- Memory does not grow with the length of a video.

Exit status: 0 when done, even if some of the videos could not be used (they are listed
with their reasons, here and in `report.json`); 2 for bad arguments or weights, or when
no video gave a feature.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lightly_marlin.features import ExtractionOptions, FolderSummary, extract_folder
from lightly_marlin.features.feature_files import FORMATS
from lightly_marlin.features.joined_table import TABLE_NAME, write_joined_table
from lightly_marlin.features.options import PRECISIONS, REDUCTIONS
from lightly_marlin.features.window_arguments import add_window_arguments
from lightly_marlin.models import load_encoder
from lightly_marlin.store.crop_arguments import (
    add_crop_arguments,
    crop_options,
    crops_faces,
)
from lightly_marlin.utils.arguments import RecipeParser, positive_integer
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.device import choose_device, has_bf16_units
from lightly_marlin.utils.errors import UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Extracts features as specified on the command line.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If the input cannot be used, or no video gave a feature.
    """
    options = parse_arguments(arguments)
    if options.parquet and options.keep_seq:
        raise UsageError("A table of all tokens is too large: drop --parquet.")
    extraction = ExtractionOptions(
        crop_face=crops_faces(options),
        all_faces=options.all_faces,
        sample_rate=options.sample_rate,
        stride=options.stride,
        reference_windows=options.reference_windows,
        reduction=options.reduction,
        keep_seq=options.keep_seq,
        pool_tokens=options.pool_tokens,
        dtype="float16" if options.half else "float32",
        **vars(crop_options(options)),
    )
    device = choose_device(options.device)
    encoder = load_encoder(options.weights, options.model).to(device)
    if options.precision == "bf16" and not has_bf16_units(device):
        console.print(
            "This machine does not multiply bf16 in hardware: --precision 32 is faster."
        )
    summary = extract_folder(
        encoder,
        options.videos,
        options.out,
        options=extraction,
        precision=options.precision,
        batch_size=options.batch_size,
        file_format=options.format,
        num_workers=options.workers,
    )
    if options.parquet:
        write_joined_table(options.out, summary.records)
    summary.show_reasons(summary.with_reason(), "report.json")
    show_totals(summary)
    if summary.num_rows == 0:
        raise UsageError(
            f"None of the {len(summary.records)} videos gave a feature. The reasons "
            f"are listed above and in {options.out}/report.json."
        )
    console.print(f"The features are in {options.out}", markup=False, soft_wrap=True)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(description="Extract features of face videos.")
    add = parser.add_argument
    add_window_arguments(parser, "features")
    add(
        "--weights",
        required=True,
        help="checkpoint of any known layout, folder, or repository of the Hub",
    )
    add("--model", help="sizes of the model (default: inferred from the weights)")
    add("--crop-face", action="store_true", help="find the face and crop it")
    add(
        "--all-faces",
        action="store_true",
        help="crop every face, not only the main one",
    )
    add_crop_arguments(parser)
    add(
        "--reference-windows",
        action="store_true",
        help="the windows of marlin-pytorch 0.3.4, without the tail",
    )
    add("--keep-seq", action="store_true", help="features of every token")
    add(
        "--pool-tokens",
        type=positive_integer,
        default=1,
        metavar="N",
        help="with --keep-seq, average tokens over NxN patches (default: 1)",
    )
    add("--half", action="store_true", help="write half precision, float16")
    add(
        "--reduction",
        choices=REDUCTIONS,
        default="none",
        help="over the windows of a track (default: none)",
    )
    add("--precision", choices=PRECISIONS, default="32", help="default: 32")
    for name, default, text in (
        ("--sample-rate", 2, "frames between sampled frames"),
        ("--stride", 16, "sampled frames from window to window"),
    ):
        text = f"{text} (default: {default})"
        add(name, type=positive_integer, default=default, metavar="N", help=text)
    add("--format", choices=FORMATS, default="npy", help="default: npy")
    add(
        "--parquet",
        action="store_true",
        help=f"write all rows with index and features to {TABLE_NAME} as well",
    )
    return parser.parse_args(arguments)


def show_totals(summary: FolderSummary) -> None:
    """Prints the closing table."""
    more = [("tracks", f"{summary.num_tracks}"), ("rows", f"{summary.num_rows}")]
    console.print(summary.table("Feature extraction", more))


if __name__ == "__main__":
    sys.exit(run_recipe(main, "faces"))
