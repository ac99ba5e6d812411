"""Writes the README's table of figures from the committed result files.

    python recipes/benchmarks/readme_table.py            # print the table
    python recipes/benchmarks/readme_table.py --write    # and put it into README.md

A test holds the README against this script, so that it cannot quote anything else.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from pathlib import Path
from typing import Any

from lightly_marlin.utils.files import atomic_write

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
RESULTS = Path(__file__).parent / "results"
NOT_JUDGED = "nothing said"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def read_result(suite: str, machine: str) -> dict[str, Any]:
    """Returns the committed result of a suite on a machine."""
    path = RESULTS / f"{suite}-{machine}.json"
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def make_table(machine: str) -> str:
    """Returns the table as Markdown."""
    demo = read_result("demo_training", machine)
    loader = read_result("loader", machine)
    step = read_result("train_step", machine)
    lines = ["| what | here | beside | |", "|---|---|---|---|"]
    final = demo["final"]
    lines.append(
        f"| tiny model on the demo clips, {demo['minutes']:.1f} minutes from nothing: "
        f"reconstruction loss of held-out clips | {final['loss/reconstruction']:.4f} | "
        f"{final['loss/mean_color']:.4f} predicting the mean colour | "
        f"**{100 * final['ratio']:.0f} %** |"
    )
    for model, rows in step["results"].items():
        reference = rows["reference float32"]
        for ours in ("ours float32", "ours bf16-mixed"):
            row = rows[ours]
            lines.append(
                f"| training step, {model}, batch {step['batch_size']}, "
                f"{ours.removeprefix('ours ')} | {row['median_s']:.2f} s, "
                f"{row['peak_mib'] / 1024:.1f} GiB | {reference['median_s']:.2f} s, "
                f"{reference['peak_mib'] / 1024:.1f} GiB, reference float32 | "
                f"**{row['speedup']:.1f}×** |"
            )
    ways = loader["ways"]
    fastest = max(
        (way for name, way in ways.items() if name != "ours"),
        key=lambda way: float(way["clips_per_second"]),
    )
    lines.append(
        f"| loading clips, one core | {ways['ours']['clips_per_second']:.0f} clips/s | "
        f"{fastest['clips_per_second']:.0f} clips/s, JPEG and .npy files as in the "
        f"reference | **{loader['speedup']:.1f}×** |"
    )
    size = loader["bytes_per_frame"]
    lines.append(
        f"| storing clips and regions | {size['ours'] / 1000:.1f} kB a frame | "
        f"{size['reference'] / 1000:.0f} kB a frame | "
        f"**1/{loader['size_ratio']:.0f}** |"
    )
    features = read_result("feature_extraction", machine)
    faces = read_result("faces", machine)
    lines += feature_lines(features) + face_lines(faces)
    results = (demo, loader, step, features, faces)
    dates = sorted(str(one["machine"]["date"]).split()[0] for one in results)
    return "\n".join(lines) + "\n\n" + make_caption(step["machine"], dates)


def feature_lines(features: dict[str, Any]) -> list[str]:
    """Returns the rows on extracting features."""
    rows = features["results"]
    reference = rows["reference float32"]
    return [
        f"| features of a window of video, {features['model']}, {precision} | "
        f"{rows[name]['median_s']:.2f} s | {reference['median_s']:.2f} s, "
        f"`marlin-pytorch` float32 | **{rows[name]['speedup']:.1f}×**, of at most "
        f"{rows[name]['highest_speedup']:.1f}× |"
        for name, precision in (("ours float32", "float32"), ("ours bf16", "bf16"))
    ]


def face_lines(faces: dict[str, Any]) -> list[str]:
    """Returns the rows on preparing faces."""
    clips = [clip for clip in faces["coverage"] if clip["expected"] != NOT_JUDGED]
    right = sum(clip["right"] for clip in clips)
    lines = [
        f"| real clips in which faces are found and followed as they must be | {right} "
        f"of {len(clips)} | | |"
    ]
    ours = statistics.median(row["ours"] for row in faces["jitter"])
    theirs = statistics.median(row["detector_every_frame"] for row in faces["jitter"])
    lines.append(
        f"| jitter of the crop, in face widths, median of {len(faces['jitter'])} clips "
        f"| {ours:.4f} | {theirs:.4f}, the detector's box in every frame | "
        f"**1/{theirs / ours:.0f}** |"
    )
    for size in sorted({row["size"] for row in faces["speed"]}, key=len):
        ways = [row["ways"] for row in faces["speed"] if row["size"] == size]
        mine, other = (
            statistics.median(way[name]["median"] for way in ways)
            for name in ("ours", "every_frame_enlarged")
        )
        lines.append(
            f"| preparing faces, {size.replace('x', '×')}, one core, median of "
            f"{len(ways)} clips | {mine:.0f} frames/s | {other:.1f} frames/s, "
            f"searching every frame for faces as small | **{mine / other:.0f}×** |"
        )
    return lines


def make_caption(machine: dict[str, Any], dates: list[str]) -> str:
    """Returns where the figures come from, in one paragraph."""
    return (
        f"Measured on {machine['cores']} cores of an {machine['cpu']} with torch "
        f"{machine['versions']['torch']}, {dates[0]} to {dates[-1]}; medians of "
        "alternating runs. The reference step is built on the modules of "
        "`marlin-pytorch` 0.3.4; memory is what a step needs beyond the weights. "
        "At most: what the encoder's matrix products alone allow at this processor's "
        "rate. "
        "Scripts and results: `recipes/benchmarks/`."
    )


def main() -> None:
    """Prints the table, and writes it into the README if asked to."""
    parser = argparse.ArgumentParser(description="Make the README's table of figures.")
    parser.add_argument("--machine", default="amd-epyc-2-cores")
    parser.add_argument("--write", action="store_true", help="update README.md")
    arguments = parser.parse_args()
    table = make_table(arguments.machine)
    print(table)
    if arguments.write:
        text = README.read_text(encoding="utf-8")
        pattern = f"{re.escape(BEGIN)}.*{re.escape(END)}"
        block = f"{BEGIN}\n{table}\n{END}"
        text = re.sub(pattern, lambda _: block, text, flags=re.DOTALL)
        with atomic_write(README) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
