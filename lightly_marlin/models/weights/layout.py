"""Layouts of known checkpoints: names of weights in the file and in our models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from lightly_marlin.utils.errors import UsageError

__all__ = ["LAYOUTS", "Layout", "find_layout", "without_wrappers"]


@dataclass(frozen=True)
class Layout:
    """Names of weights in one kind of checkpoint.

    Attributes:
        name: Writer of such checkpoints, for error messages.
        signs: Parts of names that only this layout has, all names starting with a dot.
        renames: Pairs of a part of a name in the file and its counterpart in our
            models.
        prefix: Prefix of every name in the file that our names lack.
        missing_prefix: Prefix of every name of ours that the file's names lack.
        channels_last: Whether the decoder's head predicts channels last.
        root: Further prefix of every name in a single file, such as "student.".
    """

    name: str
    signs: tuple[str, ...]
    renames: tuple[tuple[str, str], ...] = ()
    prefix: str = ""
    missing_prefix: str = ""
    channels_last: bool = False
    root: str = ""

    def under(self, root: str) -> Layout:
        """Returns the layout of a model that is a part of another one.

        Args:
            root: What stands before its names there, with a dot at the end.

        Returns:
            The layout with this root.
        """
        return replace(self, root=root) if root else self

    def holds(self, name: str) -> bool:
        """Returns whether a tensor of the file belongs to the model.

        Args:
            name: Name in the file.
        """
        # Discriminators stand beside the model that the prefix is for.
        beside = f"{self.root}discriminator."
        return name.startswith((self.root + self.prefix, beside))

    def ours(self, name: str) -> str:
        """Translates a name in the file to the name in our models.

        Args:
            name: Name in the file.

        Returns:
            Name in `Marlin.state_dict()`, or with the prefix "discriminator.".
        """
        name = name.removeprefix(self.root).removeprefix(self.prefix)
        name = f".{self.missing_prefix}{name}"
        for old, new in self.renames:
            name = name.replace(old, new)
        return name[1:]

    def theirs(self, name: str) -> str:
        """Translates a name in our models to the name in the file.

        Args:
            name: Name in `Marlin.state_dict()`, or with the prefix "discriminator.".

        Returns:
            Name in the file.
        """
        name = f".{name}"
        for old, new in self.renames:
            name = name.replace(new, old)
        name = name[1:].removeprefix(self.missing_prefix)
        # The prefix is the model's: discriminators are stored beside it.
        prefix = "" if name.startswith("discriminator.") else self.prefix
        return self.root + prefix + name

    def convert(self, name: str, tensor: Tensor, tubelet: tuple[int, ...]) -> Tensor:
        """Converts a tensor of the file to the form of our models.

        Args:
            name: Its name in our models.
            tensor: The tensor as it is in the file.
            tubelet: Channels, frames, height and width of a tubelet.

        Returns:
            The tensor for our models; unchanged if its shape does not fit.
        """
        if name == "encoder.patch_embed.weight" and tensor.shape[1:] == tubelet:
            return tensor.flatten(1)
        if self.channels_last and name.startswith("decoder.head."):
            return _channels_first(tensor, tubelet)
        return tensor


OURS = Layout("lightly_marlin", (".encoder.patch_embed.", ".encoder.blocks."))
# Not ".patch_embed.": timm's transformers have such names followed by ".proj.".
OUR_ENCODER = Layout(
    "lightly_marlin (encoder)",
    (".patch_embed.weight", ".patch_embed.bias"),
    missing_prefix="encoder.",
)
OUR_TRAINING = Layout(
    "lightly_marlin (training)", (".model.encoder.",), prefix="model."
)
_RELEASED_SIGNS = (".patch_embedding.", ".mlp.layers.", ".pos_embedding.")
_RELEASED_RENAMES = (
    (".patch_embedding.projection.", ".patch_embed."),
    (".pos_embedding.emb", ".pos_embed"),
    (".mlp.layers.0.linear.", ".mlp.fc1."),
    (".mlp.layers.1.linear.", ".mlp.fc2."),
    (".discriminator.layers.0.linear.", ".discriminator.fc1."),
    (".discriminator.layers.1.linear.", ".discriminator.fc2."),
)
RELEASED = Layout("MARLIN", _RELEASED_SIGNS, _RELEASED_RENAMES)
RELEASED_ENCODER = Layout(
    "MARLIN (encoder)", _RELEASED_SIGNS, _RELEASED_RENAMES, missing_prefix="encoder."
)
RELEASED_ON_HUB = Layout(
    "MARLIN on the Hub",
    (".marlin.encoder.",),
    _RELEASED_RENAMES,
    prefix="marlin.",
)
VIDEOMAE = Layout(
    "VideoMAE",
    # Not ".encoder_to_decoder.": Hugging Face's VideoMAE has that too.
    (".encoder.patch_embed.proj.",),
    (
        (".encoder.patch_embed.proj.", ".encoder.patch_embed."),
        (".encoder_to_decoder.", ".enc_dec_proj."),
        (".mask_token", ".decoder.mask_token"),
    ),
    channels_last=True,
)
# The more specific first: every sign of OURS is in names of VIDEOMAE too.
LAYOUTS = (
    RELEASED_ON_HUB,
    OUR_TRAINING,
    RELEASED,
    RELEASED_ENCODER,
    VIDEOMAE,
    OURS,
    OUR_ENCODER,
)
_WRAPPED = re.compile(
    r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)
# Signs of checkpoints that are often mistaken for one of these.
_STRANGERS = (
    (".videomae.", "Hugging Face's VideoMAE"),
    (".patch_embed.proj.", "timm, or a VideoMAE fine-tuned for classification,"),
)


def without_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drops what wrappers of modules put into names.

    These are `DistributedDataParallel`, `FullyShardedDataParallel`, `torch.compile` and
    activation checkpointing.

    Args:
        state: Tensors by the names that they have in the file.

    Returns:
        The same tensors by the names of the wrapped model.
    """
    unwrapped = {_WRAPPED.sub("", name): tensor for name, tensor in state.items()}
    while all(name.startswith("module.") for name in unwrapped):
        unwrapped = {name.removeprefix("module."): t for name, t in unwrapped.items()}
    return unwrapped


def find_layout(names: Iterable[str], path: Path | None = None) -> Layout:
    """Recognises the layout of a checkpoint by the names of its weights.

    Args:
        names: Names in the file, without wrappers.
        path: The file, for the error message.

    Returns:
        The layout of the checkpoint.

    Raises:
        UsageError: If no layout has such names.
    """
    names = list(names)
    for layout in LAYOUTS:
        if any(sign in f".{name}" for name in names for sign in layout.signs):
            return layout
    like = [who for sign, who in _STRANGERS if any(sign in f".{n}" for n in names)]
    raise UsageError(
        f"Unknown kind of checkpoint{f' {path}' if path else ''}, with weights such as "
        f"{', '.join(names[:3])}{f', as {like[0]} has them' if like else ''}. "
        f"Supported are those of {', '.join(layout.name for layout in LAYOUTS)}."
    )


def _channels_first(tensor: Tensor, tubelet: tuple[int, ...]) -> Tensor:
    """Reorders rows of VideoMAE's head, which predicts channels last."""
    channels, time, row, column = tubelet
    if tensor.shape[0] != channels * time * row * column:
        return tensor
    rows = torch.arange(tensor.shape[0]).view(time, row, column, channels)
    return tensor[rows.permute(3, 0, 1, 2).flatten()]
