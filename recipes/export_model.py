"""Exports an encoder for small devices and other runtimes.

    python recipes/export_model.py OUT --weights run/model
    python recipes/export_model.py OUT --weights run/model --formats program int8
    python recipes/export_model.py OUT --weights run/model --formats executorch_int8

writes these files to the folder OUT. Each takes uint8 clips (B, 3, 16, 224, 224) and
returns features (B, D), or (B, N, D) with --keep-seq:

- `onnx`, `encoder.onnx`: for ONNX Runtime and other readers of ONNX, any batch size.
  Writing it needs: pip install ".[export]";
- `program`, `encoder.pt2`: a `torch.export` program, the input of ExecuTorch and
  AOTInductor, any batch size; load it with `torch.export.load(path).module()`;
- `int8`, `encoder_int8.pt`: linear layers in int8, quantised dynamically (weights in
  advance, activations at run time), as TorchScript, any batch size; load it with
  `torch.jit.load(path)`. It needs only PyTorch, which plans to drop it;
- `executorch`, `encoder.pte`, and `executorch_int8`, `encoder_int8.pte`: the same two
  for ExecuTorch's runtime on phones and other small devices, for 1 to --batch-size
  clips at once (at least 2). Only written on request: needs pip install ".[executorch]"
  (300 MB) and minutes of lowering.

Every file is read back, must reproduce the encoder's features on random clips of two
batch sizes (float32 within 1e-4; int8 with a cosine similarity of at least 0.99), and
is timed against it; `export.json` has sizes, differences and times. A file that fails
the check is removed.

Exit status: 0 when done; 2 for bad arguments or weights, or a missing package; 1 if an
export is wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn

from lightly_marlin.models import MarlinEncoder, load_encoder
from lightly_marlin.models.executorch_program import (
    executorch_program,
    read_executorch,
)
from lightly_marlin.models.exportable import exportable
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, write_json

MAX_DIFFERENCE = 1e-4
MIN_COSINE = 0.99

Encode = Callable[[Tensor], Tensor]
Export = Callable[[MarlinEncoder, Tensor, Path], tuple[Path, Callable[[Path], Encode]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exports an encoder as specified on the command line.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If the weights, a package or the folder cannot be used.
    """
    options = parse_arguments(arguments)
    check_packages(options.formats)
    encoder = load_encoder(options.weights, options.model)
    plain = exportable(encoder, keep_seq=options.keep_seq)
    encode: Encode = encoder.encode if options.keep_seq else encoder
    clips = random_clips(encoder, options.batch_size)
    seconds = {"PyTorch": time_encoding(encode, clips, options.repeats)}
    results: dict[str, Any] = {}
    wrong = []
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for name in options.formats:
            with console.status(f"Exporting {name}"):
                path, load = EXPORTS[name](plain, clips, options.out)
            loaded = load(path)
            results[name] = compare(encode, loaded, clips)
            results[name]["mib"] = path.stat().st_size / 2**20
            if not is_right(name, results[name]):
                wrong.append(name)
                path.unlink()
                continue
            seconds[name] = time_encoding(loaded, clips, options.repeats)
            results[name]["seconds"] = seconds[name]
        results["PyTorch"] = {"seconds": seconds["PyTorch"]}
        write_json(options.out / "export.json", results)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"Cannot write to {options.out}: {reason}.") from error
    show(results)
    for name in wrong:
        console.print(
            f"{name}: other features than the encoder's; removed", style="red"
        )
    return 1 if wrong else 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(description="Export an encoder.")
    add = parser.add_argument
    add("out", metavar="OUT", type=Path, help="folder to write to")
    add("--weights", required=True, help="weights in any known layout")
    add("--model", help="name of the model (default: inferred from the checkpoint)")
    add("--formats", nargs="+", choices=list(EXPORTS), default=DEFAULTS)
    add("--keep-seq", action="store_true", help="features of every token")
    add(
        "--batch-size", type=int, default=2, help="of the check and timing (default: 2)"
    )
    add("--repeats", type=int, default=3, help="timed encodings (default: 3)")
    options = parser.parse_args(arguments)
    for name in ("batch_size", "repeats"):
        if getattr(options, name) < 1:
            raise UsageError(f"Invalid {name} {getattr(options, name)}: at least 1.")
    return options


def check_packages(formats: Sequence[str]) -> None:
    """Raises UsageError if a package that a format needs is missing."""
    for name in formats:
        for package in PACKAGES.get(name, ()):
            try:
                require(package, f"Exporting to {name}")
            except ModuleNotFoundError as error:
                raise UsageError(
                    f"{error}. Or leave it out: --formats program int8"
                ) from error


def random_clips(encoder: MarlinEncoder, batch_size: int) -> Tensor:
    """Returns uint8 noise that is the same at every call."""
    config, generator = encoder.config, torch.Generator().manual_seed(0)
    size = (batch_size, 3, config.num_frames, config.img_size, config.img_size)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)


def export_onnx(
    plain: MarlinEncoder, clips: Tensor, folder: Path
) -> tuple[Path, Callable[[Path], Encode]]:
    """Writes encoder.onnx; returns its path and its reader."""
    path = folder / "encoder.onnx"
    program = torch.onnx.export(
        plain,
        (two_clips(clips),),
        input_names=["videos"],
        output_names=["features"],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    with atomic_write(path) as temporary:
        program.save(temporary)
    return path, load_onnx


def load_onnx(path: Path) -> Encode:
    """Loads an ONNX file into ONNX Runtime."""
    onnxruntime = require("onnxruntime", "Running ONNX")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        str(path), settings, providers=["CPUExecutionProvider"]
    )
    return lambda clips: torch.from_numpy(
        session.run(["features"], {"videos": clips.numpy()})[0]
    )


def export_program(
    plain: MarlinEncoder, clips: Tensor, folder: Path
) -> tuple[Path, Callable[[Path], Encode]]:
    """Writes encoder.pt2; returns its path and its reader."""
    path = folder / "encoder.pt2"
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(
        plain, (two_clips(clips),), dynamic_shapes=({0: batch},)
    )
    program.example_inputs = None  # The example noise would add 9 MiB.
    with atomic_write(path) as temporary:
        torch.export.save(program, temporary)
    return path, lambda path: torch.export.load(path).module()


def export_int8(
    plain: MarlinEncoder, clips: Tensor, folder: Path
) -> tuple[Path, Callable[[Path], Encode]]:
    """Writes encoder_int8.pt; returns its path and its reader."""
    path = folder / "encoder_int8.pt"
    with warnings.catch_warnings(), torch.no_grad():
        # PyTorch announces successors of both; neither is in PyTorch itself.
        warnings.simplefilter("ignore")
        quantise: Any = torch.ao.quantization.quantize_dynamic
        trace: Any = torch.jit.trace
        traced = trace(
            quantise(plain, {nn.Linear}), two_clips(clips), check_trace=False
        )
        with atomic_write(path) as temporary:
            traced.save(str(temporary))
    return path, load_torchscript


def load_torchscript(path: Path) -> Encode:
    """Reads a TorchScript file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read: Any = torch.jit.load
        loaded: Encode = read(str(path))
    return loaded


def export_executorch(
    plain: MarlinEncoder, clips: Tensor, folder: Path, *, int8: bool = False
) -> tuple[Path, Callable[[Path], Encode]]:
    """Writes encoder.pte or encoder_int8.pte; returns its path and its reader."""
    path = folder / ("encoder_int8.pte" if int8 else "encoder.pte")
    most = clips if len(clips) > 1 else two_clips(clips)
    content = executorch_program(plain, most, int8=int8)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return path, read_executorch


EXPORTS: dict[str, Export] = {
    "onnx": export_onnx,
    "program": export_program,
    "int8": export_int8,
    "executorch": export_executorch,
    "executorch_int8": partial(export_executorch, int8=True),
}
DEFAULTS = ["onnx", "program", "int8"]
PACKAGES = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "executorch": ("executorch",),
    "executorch_int8": ("executorch", "torchao"),
}


def two_clips(clips: Tensor) -> Tensor:
    """Returns an example of two clips: exporters make a batch of one constant."""
    return torch.cat((clips, clips))[:2]


@torch.no_grad()
def compare(encode: Encode, loaded: Encode, clips: Tensor) -> dict[str, float]:
    """Encodes batches of two sizes in both ways; returns the feature differences."""
    differences, cosines = [], []
    for batch in (clips, clips[:1] if len(clips) > 1 else two_clips(clips)):
        expected, found = encode(batch), loaded(batch)
        if found.shape != expected.shape:
            return {"largest_difference": float("inf"), "smallest_cosine": 0.0}
        differences.append(float((found - expected).abs().max()))
        cosine = torch.cosine_similarity(found.flatten(1), expected.flatten(1))
        cosines.append(float(cosine.min()))
    return {
        "largest_difference": max(differences),
        "smallest_cosine": min(cosines),
    }


def is_right(name: str, result: dict[str, float]) -> bool:
    """Returns whether features are close enough for a format."""
    if name.endswith("int8"):
        return result["smallest_cosine"] >= MIN_COSINE
    return result["largest_difference"] <= MAX_DIFFERENCE


@torch.no_grad()
def time_encoding(encode: Encode, clips: Tensor, repeats: int) -> float:
    """Returns the median seconds of encoding a batch, after one warm-up."""
    encode(clips)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        encode(clips)
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def show(results: dict[str, Any]) -> None:
    """Prints one line per format."""
    table = Table(title="Exported encoders")
    for column in ("format", "MiB", "largest difference", "cosine", "s/batch"):
        table.add_column(column, justify="left" if column == "format" else "right")
    for name, row in results.items():
        cells = [
            ("mib", "{:.1f}"),
            ("largest_difference", "{:.2g}"),
            ("smallest_cosine", "{:.5f}"),
            ("seconds", "{:.3f}"),
        ]
        texts = [form.format(row[key]) if key in row else "" for key, form in cells]
        table.add_row(name, *texts)
    console.print(table)


if __name__ == "__main__":
    sys.exit(run_recipe(main))
