"""Tables of figures for README.md and docs/benchmarks.md, from committed results.

    python recipes/benchmarks/readme_table.py            # print all of them
    python recipes/benchmarks/readme_table.py --write    # and update both files

README.md shows the rows of `IN_README`, docs/benchmarks.md shows all. A test compares
both files with this script, so they cannot quote other figures.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from pathlib import Path
from typing import Any

from scale_costs import cost_table

from lightly_marlin.utils.files import atomic_write

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
NOT_JUDGED = "nothing said"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
HEAD = "| what | here | baseline | |\n|---|---|---|---|\n"
IN_README = (
    "demo",
    "step marlin_vit_base bf16-mixed",
    "features bf16",
    "loading",
    "faces 1280x720",
)

# Text of a table row by its name.
Rows = dict[str, str]


def read_result(suite: str, machine: str) -> dict[str, Any]:
    """Returns the committed result of a suite on a machine."""
    path = RESULTS / f"{suite}-{machine}.json"
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def make_tables(machine: str) -> dict[Path, str]:
    """Returns the tables as Markdown, by the file that shows them."""
    suites = (
        "demo_training",
        "loader",
        "train_step",
        "feature_extraction",
        "faces",
        "face_robustness",
        "linear_probe",
        "mask_ablation",
        "fake_detection",
        "demo_probe",
        "store_scale",
        "demo_probe_histograms",
    )
    results = tuple(read_result(suite, machine) for suite in suites)
    demo, loader, step, features, faces, robustness, probe, masks = results[:8]
    fakes, demo_probe, scale, histograms = results[8:]
    rows = {
        **demo_rows(demo),
        **step_rows(step),
        **loader_rows(loader),
        **scale_rows(scale),
        **feature_rows(features),
        **face_rows(faces),
        **robustness_rows(robustness),
        **probe_rows(probe),
        **demo_probe_rows(demo_probe, "of the demo"),
        **demo_probe_rows(
            histograms,
            f"after {histograms['weights'][0]['steps']:,} steps of histograms on the "
            "demo clips",
        ),
        **mask_rows(masks),
        **fake_rows(fakes),
    }
    dates = sorted(str(one["machine"]["date"]).split()[0] for one in results)
    caption = make_caption(step["machine"], dates)
    short = "".join(rows[name] for name in IN_README)
    return {
        ROOT / "README.md": f"{HEAD}{short}\n{caption}",
        ROOT / "docs" / "benchmarks.md": f"{HEAD}{''.join(rows.values())}\n{caption}",
        ROOT / "docs" / "scale.md": cost_table(loader, faces, scale),
    }


def demo_rows(demo: dict[str, Any]) -> Rows:
    """Returns the row on training on the demo clips, over seeds."""
    runs = sorted(demo["runs"], key=lambda run: run["final"]["ratio"])
    middle = runs[(len(runs) - 1) // 2]["final"]
    lowest, *_, highest = [100 * run["final"]["ratio"] for run in [*runs, runs[-1]]]
    minutes = max(run["minutes"] for run in runs)
    seeds = f"median of {len(runs)} seeds" if len(runs) > 1 else "one seed"
    spread = f" ({lowest:.0f} to {highest:.0f} %)" if len(runs) > 1 else ""
    threads = f"{demo['threads']} thread{'s' if demo['threads'] > 1 else ''}"
    automatic = demo["settings"]["precision"] == "auto" and not demo["options"]
    if automatic and demo["machine"]["cpu_bf16"]:
        threads += " in bfloat16"
    return {
        "demo": f"| tiny model on the demo clips, {minutes:.0f} minutes of {threads} "
        f"from scratch, {seeds}: reconstruction loss of held-out clips "
        f"| {middle['loss/reconstruction']:.4f} | {middle['loss/mean_color']:.4f} "
        f"predicting the mean colour | **{100 * middle['ratio']:.0f} %**{spread} |\n"
    }


def step_rows(step: dict[str, Any]) -> Rows:
    """Returns the rows on training steps."""
    lines = {}
    for model, rows in step["results"].items():
        reference = rows["reference float32"]
        for precision in ("float32", "bf16-mixed"):
            row = rows[f"ours {precision}"]
            lines[f"step {model} {precision}"] = (
                f"| training step, {model}, batch {step['batch_size']}, {precision} | "
                f"{row['median_s']:.2f} s, {row['peak_mib'] / 1024:.1f} GiB | "
                f"{reference['median_s']:.2f} s, {reference['peak_mib'] / 1024:.1f} "
                f"GiB, reference float32 | **{row['speedup']:.1f}×** |\n"
            )
    return lines


def loader_rows(loader: dict[str, Any]) -> Rows:
    """Returns the rows on loading and storing clips."""
    ways, size = loader["ways"], loader["bytes_per_frame"]
    fastest = max(
        float(way["clips_per_second"]) for name, way in ways.items() if name != "ours"
    )
    return {
        "loading": f"| loading clips, one core | "
        f"{ways['ours']['clips_per_second']:.0f} clips/s | {fastest:.0f} clips/s, JPEG "
        f"and .npy files as in the reference | **{loader['speedup']:.1f}×** |\n",
        "storing": f"| storing clips and regions | {size['ours'] / 1000:.1f} kB a "
        f"frame | {size['reference'] / 1000:.0f} kB a frame, as in the reference | "
        f"**1/{loader['size_ratio']:.0f}** |\n",
    }


def scale_rows(scale: dict[str, Any]) -> Rows:
    """Returns the rows on a store of many tracks, and on clips from tars."""
    index, clips = scale["index"], scale["clips_per_second"]
    ours, theirs = index["open"], index["open Parquet instead"]
    low, high = clips["ratio_quartiles"]
    return {
        "opening": f"| opening a store of {scale['rows']:,} tracks | "
        f"{1000 * ours['seconds']:.0f} ms, {ours['mib']:.0f} MiB | "
        f"{1000 * theirs['seconds']:.0f} ms, {theirs['mib']:.0f} MiB, reading Parquet "
        f"| **{theirs['seconds'] / ours['seconds']:.0f}×** |\n",
        "tars": f"| loading clips from tars, one core | {clips['tar']:.0f} clips/s | "
        f"{clips['loose']:.0f} clips/s, loose files | {clips['ratio']:.2f}×, quartiles "
        f"{low:.2f} to {high:.2f} |\n",
    }


def feature_rows(features: dict[str, Any]) -> Rows:
    """Returns the rows on extracting features."""
    rows = features["results"]
    reference = rows["reference float32"]
    return {
        f"features {precision}": f"| features of a window of video, "
        f"{features['model']}, {precision} | {row['median_s']:.2f} s | "
        f"{reference['median_s']:.2f} s, `marlin-pytorch` float32 | "
        f"**{row['speedup']:.1f}×**, of at most {row['highest_speedup']:.1f}× |\n"
        for precision in ("float32", "bf16")
        for row in (rows[f"ours {precision}"],)
    }


def face_rows(faces: dict[str, Any]) -> Rows:
    """Returns the rows on preparing faces."""
    clips = [clip for clip in faces["coverage"] if clip["expected"] != NOT_JUDGED]
    right = sum(clip["right"] for clip in clips)
    ours, theirs = (
        statistics.median(row[name] for row in faces["jitter"])
        for name in ("ours", "detector_every_frame")
    )
    lines = {
        "coverage": "| real clips whose faces are found and tracked as expected | "
        f"{right} of {len(clips)} | | |\n",
        "jitter": "| jitter of the crop, in face widths, median of "
        f"{len(faces['jitter'])} clips | {ours:.4f} | {theirs:.4f}, the detector's box "
        f"in every frame | **1/{theirs / ours:.0f}** |\n",
    }
    for size in sorted({row["size"] for row in faces["speed"]}, key=len):
        ways = [row["ways"] for row in faces["speed"] if row["size"] == size]
        mine, other = (
            statistics.median(way[name]["median"] for way in ways)
            for name in ("ours", "every_frame_enlarged")
        )
        lines[f"faces {size}"] = (
            f"| preparing faces, {size.replace('x', '×')}, one core, median of "
            f"{len(ways)} clips | {mine:.0f} frames/s | {other:.1f} frames/s, "
            "searching every frame for faces of the same smallest size | "
            f"**{mine / other:.0f}×** |\n"
        )
    return lines


def robustness_rows(robustness: dict[str, Any]) -> Rows:
    """Returns the rows on faces that keep their track in degraded recordings."""
    clips = len(robustness["clips"])
    return {
        f"kept {row['degradation']}": "| faces that keep their track, first "
        f"{robustness['frames_per_clip']} frames of {clips} real clips: "
        f"{row['degradation']} | {100 * row['kept']:.1f} % of {row['frames']} | "
        f"the undegraded clips | {row['false_tracks']} false tracks |\n"
        for row in robustness["summary"]
    }


def probe_rows(probe: dict[str, Any]) -> Rows:
    """Returns the row on the linear probe."""
    row = probe["results"]
    return {
        "linear probe": f"| linear probe, {probe['heads']} heads at once, "
        f"{probe['rows']:,} training rows of {probe['features']} features, "
        f"{probe['labels']} labels, with testing and intervals, {probe['threads']} "
        f"threads | {row['whole_seconds']:.0f} s, {row['peak_gib']:.1f} GiB | | |\n"
    }


def demo_probe_rows(probe: dict[str, Any], models: str) -> Rows:
    """Returns the rows on models that are probed on labels of new demo clips.

    Args:
        probe: The result.
        models: Which models they are.
    """
    rows = probe["rows"]
    weights = [row for name, row in rows.items() if name.startswith("weights")]

    def text(row: dict[str, Any], protocol: str) -> str:
        return score_text(row[protocol]["accuracy/mean"])

    lines = {}
    seeds = "1 seed" if len(weights) == 1 else f"{len(weights)} seeds"
    for protocol in weights[0]:
        values = ", ".join(text(row, protocol) for row in weights)
        pixels = (
            f", {text(rows['pixels'], protocol)} pixels"
            if protocol in rows["pixels"]
            else ""
        )
        constant = rows["random"][protocol]["accuracy/mean"]["constant"]
        lines[f"{probe['suite']} {protocol}"] = (
            f"| labels of {probe['clips']} demo clips, {protocol} probe on the frozen "
            f"{probe['model']['name']} {models}, {seeds}: mean "
            f"accuracy | {values} | {text(rows['random'], protocol)} random "
            f"initialisation{pixels}, {constant:.2f} constant predictor | |\n"
        )
    return lines


def mask_rows(masks: dict[str, Any]) -> Rows:
    """Returns the rows on pretrainings by mask, probed on the demo labels."""
    probe = masks["ablation"]["probes"]["demo"]
    metric, seeds = probe["primary"], len(masks["ablation"]["seeds"])

    def text(row: dict[str, Any]) -> str:
        return f"{row[metric]['mean']:.3f} ± {row[metric]['sd']:.3f}"

    random, pixels = (text(probe["rows"][n]["metrics"]) for n in ("random", "pixels"))
    constant = text(probe["constant predictor"])
    cells = masks["ablation"]["rows"]
    return {
        f"pretraining {name}": f"| labels of {masks['demo_clips']} demo clips, "
        f"frozen {cells[name]['model']} after {masks['steps']} steps at "
        f"{cells[name]['settings']['image_size']} pixels on real clips, "
        f"mask {cells[name]['settings']['mask']}: mean AUC ± deviation over {seeds} "
        "seeds | "
        f"{text(row['metrics'])} | {random} random initialisation, {pixels} pixels, "
        f"{constant} constant predictor | |\n"
        for name, row in probe["rows"].items()
        if name.startswith("mask=")
    }


def fake_rows(fakes: dict[str, Any]) -> Rows:
    """Returns the rows on synthetic fakes by the JPEG quality of the store."""
    weights = fakes["weights"]
    trained = "a training of another kind"
    if weights["steps"] is not None:
        objectives = " and ".join(weights["objectives"])
        trained = f"{weights['steps']:,} steps of {objectives}, mask {weights['mask']}"
    sources = {
        "pretrained": f"{weights['model']} after {trained}, "
        f"at {weights['image_size']} pixels",
        "random": f"random initialisation at {fakes['image_size']} pixels",
    }
    heads = {
        name: f"exact probe on features of {source}" for name, source in sources.items()
    }
    heads["pixels"] = "exact probe on pixels"
    for name, source in sources.items():
        heads[f"{name}, grid"] = f"grid probe on features of {source}"
    rows = dict(fakes["probe"])
    for name, row in fakes["fine-tuned"].items():
        rows[f"{name}, fine-tuned"] = row
        epochs = fakes["fine_tuning"]["epochs"]
        heads[f"{name}, fine-tuned"] = (
            f"fine-tuned from {sources[name]}, {epochs} epochs"
        )
    lines = {}
    for name, row in rows.items():
        values = ", ".join(
            f"{score_text(numbers['auc/flat'])} at {quality}"
            for quality, numbers in row.items()
        )
        counts = next(iter(row.values()), None)
        if counts is None:
            continue
        score = counts["auc/flat"]
        few = ", too few for an interval" if None in score["interval"] else ""
        lines[f"fakes {name}"] = (
            f"| synthetic fakes of {fakes['clips']} demo clips, {heads[name]}, AUC of "
            f"{counts['videos']} test videos ({counts['pairs']} pairs{few}) by JPEG "
            f"quality of the store | {values} | {score['constant']:.2f} constant "
            "predictor | |\n"
        )
    return lines


def score_text(score: dict[str, Any]) -> str:
    """Returns a number with its interval, if it has one."""
    low, high = score["interval"]
    interval = "" if low is None else f" ({low:.2f} to {high:.2f})"
    return f"{score['value']:.2f}{interval}"


def make_caption(machine: dict[str, Any], dates: list[str]) -> str:
    """Returns the origin of the figures, in one paragraph."""
    return (
        f"Measured on {machine['cores']} cores of an {machine['cpu']} with torch "
        f"{machine['versions']['torch']}, {dates[0]} to {dates[-1]}; medians of "
        "interleaved runs. The reference step is built from the modules of "
        "`marlin-pytorch` 0.3.4; memory is the peak of a step beyond the weights. "
        "“Of at most” is the bound set by the encoder's matrix products at this "
        "processor's measured rate. Scripts and results: `recipes/benchmarks/`."
    )


def replace_table(text: str, table: str) -> str:
    """Returns the text of a page with the table between its marks replaced."""
    pattern = f"{re.escape(BEGIN)}.*{re.escape(END)}"
    return re.sub(pattern, lambda _: f"{BEGIN}\n{table}\n{END}", text, flags=re.DOTALL)


def main() -> None:
    """Prints the tables, and writes them into their files if asked to."""
    parser = argparse.ArgumentParser(description="Make the tables of figures.")
    parser.add_argument("--machine", default="amd-epyc-2-cores")
    parser.add_argument("--write", action="store_true", help="update the files")
    arguments = parser.parse_args()
    for path, table in make_tables(arguments.machine).items():
        print(f"{path.relative_to(ROOT)}\n\n{table}\n")
        if arguments.write:
            text = replace_table(path.read_text(encoding="utf-8"), table)
            with atomic_write(path) as temporary:
                temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
