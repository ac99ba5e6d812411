"""Converts weights between the released layout of MARLIN and ours.

    python recipes/convert_checkpoint.py run/model mine.full.pt
    python recipes/convert_checkpoint.py run/model mine.encoder.pt
    python recipes/convert_checkpoint.py marlin_vit_base_ytf.full.pt my_model

SOURCE is anything that `create_marlin(weights=...)` reads: released `.encoder.pt` and
`.full.pt`, Lightning checkpoints (MARLIN's and ours), folders and repositories of the
Hub, VideoMAE's pretraining, our own. TARGET decides the layout:

- `NAME.encoder.pt` or `NAME.full.pt`: the released one, which marlin-pytorch reads with
  `Marlin.from_file("marlin_vit_base_ytf", path)`;
- any other name: our folder with `model.safetensors` and `config.json`, for
  `from_pretrained` and `weights=`. An encoder alone gives the folder of an encoder.

The architecture is inferred from the checkpoint, or named with --model. After writing,
the target is read back and must hold the same values. Nothing in SOURCE is executed.
The licence stays with the weights: the released ones are CC BY-NC 4.0, in our layout
too.

Exit status: 0 when done; 2 for bad arguments or weights that do not fit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from lightly_marlin.models import Marlin, MarlinEncoder, load_weights
from lightly_marlin.models.config import list_models, named_config
from lightly_marlin.models.weights.checkpoint import Checkpoint
from lightly_marlin.models.weights.released_layout import released_state
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write

RELEASED_SUFFIXES = (".encoder.pt", ".full.pt")
FILE_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")


def main(arguments: Sequence[str] | None = None) -> int:
    """Converts a checkpoint as specified on the command line.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If the weights or the target cannot be used.
    """
    options = parse_arguments(arguments)
    target = check_target(options.target, options.force)
    model = read_model(Checkpoint.open(options.source), target, options.model)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_model(model, target)
    except OSError as error:
        raise UsageError(
            f"Cannot write {target}: {error.strerror or error}."
        ) from error
    check_equal(model, target)
    what = "encoder" if isinstance(model, MarlinEncoder) else "whole model"
    count = sum(tensor.numel() for tensor in model.state_dict().values())
    console.print(
        f"Wrote the {what} ({count / 1e6:.1f} million numbers) to {target}",
        markup=False,
        soft_wrap=True,
    )
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(
        description="Convert weights between MARLIN's layout and ours."
    )
    parser.add_argument("source", metavar="SOURCE", help="weights in any known layout")
    parser.add_argument(
        "target",
        metavar="TARGET",
        type=Path,
        help="NAME.encoder.pt or NAME.full.pt (released layout), or a folder (ours)",
    )
    parser.add_argument(
        "--model",
        choices=list_models(),
        help="name of the model (default: inferred from the checkpoint)",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace an existing target"
    )
    return parser.parse_args(arguments)


def check_target(target: Path, force: bool) -> Path:
    """Returns the target if it may be written and its name determines the layout."""
    if target.name.endswith(RELEASED_SUFFIXES):
        taken = target.exists()
    elif target.suffix in FILE_SUFFIXES:
        raise UsageError(
            f"Unknown kind of target {target}. Supported are NAME.encoder.pt and "
            "NAME.full.pt, and a folder."
        )
    else:
        taken = target.exists() and (not target.is_dir() or any(target.iterdir()))
    if taken and not force:
        raise UsageError(f"{target} already exists. Replace it with --force.")
    return target


def read_model(
    checkpoint: Checkpoint, target: Path, name: str | None
) -> Marlin | MarlinEncoder:
    """Returns the parts of the checkpoint for the target."""
    config = named_config(name) if name else checkpoint.architecture()
    whole = "decoder" in checkpoint.parts
    if target.name.endswith(".full.pt") and not whole:
        raise UsageError(
            f"The weights in {checkpoint.path} are those of an encoder alone and make "
            f"no {target.name}. Name the target {target.name[: -len('.full.pt')]}"
            ".encoder.pt."
        )
    encoder_only = not whole or target.name.endswith(".encoder.pt")
    model = MarlinEncoder(config) if encoder_only else Marlin(config)
    checkpoint.load_into(model)
    return model


def write_model(model: Marlin | MarlinEncoder, target: Path) -> None:
    """Writes the target atomically."""
    if not target.name.endswith(RELEASED_SUFFIXES):
        model.save_pretrained(target)
        return
    with atomic_write(target) as temporary:
        torch.save(released_state(model), temporary)


def check_equal(model: Marlin | MarlinEncoder, target: Path) -> None:
    """Reads the target back; raises RuntimeError if its values differ."""
    again = type(model)(model.config)
    load_weights(again, target)
    for name, tensor in again.state_dict().items():
        if not torch.equal(tensor, model.state_dict()[name]):
            raise RuntimeError(f"{target} holds other numbers for {name}.")


if __name__ == "__main__":
    sys.exit(run_recipe(main))
