"""What weights are called in known checkpoints, and what they are called here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lightly_marlin.utils.errors import UsageError

__all__ = ["WeightNames", "recognise"]


@dataclass(frozen=True)
class WeightNames:
    """How one family of checkpoints names its weights.

    Attributes:
        family: Who writes such checkpoints, for error messages.
        signs: Parts of names that only this family has, all names starting with a dot.
        renames: Pairs of what a part of a name is there and here.
        prefix: What stands before every name there and not here.
        missing_prefix: What stands before every name here and not there.
    """

    family: str
    signs: tuple[str, ...]
    renames: tuple[tuple[str, str], ...] = ()
    prefix: str = ""
    missing_prefix: str = ""

    def here(self, name: str) -> str:
        """Translates a name in the file to the name in our models.

        Args:
            name: Name in the file.

        Returns:
            Name in `Marlin.state_dict()`, or with "discriminator." before it.
        """
        name = f".{self.missing_prefix}{name.removeprefix(self.prefix)}"
        for there, ours in self.renames:
            name = name.replace(there, ours)
        return name[1:]

    def there(self, name: str) -> str:
        """Translates a name in our models to the name in the file.

        Args:
            name: Name in `Marlin.state_dict()`, or with "discriminator." before it.

        Returns:
            Name in the file.
        """
        name = f".{name}"
        for there, ours in self.renames:
            name = name.replace(ours, there)
        name = name[1:].removeprefix(self.missing_prefix)
        # Discriminators stand beside the model that the prefix is for.
        return name if name.startswith("discriminator.") else self.prefix + name

    def convert(self, name: str, tensor: Tensor, tubelet: tuple[int, ...]) -> Tensor:
        """Brings a tensor of the file into the form of our models.

        Args:
            name: Its name in our models.
            tensor: The tensor as it is in the file.
            tubelet: Channels, frames, height and width of a tubelet.

        Returns:
            The tensor for our models; as it is where its shape does not fit.
        """
        if name == "encoder.patch_embed.weight" and tensor.shape[1:] == tubelet:
            return tensor.flatten(1)
        if self is VIDEOMAE and name.startswith("decoder.head."):
            return _channels_first(tensor, tubelet)
        return tensor


OURS = WeightNames("lightly_marlin", (".encoder.patch_embed.", ".encoder.blocks."))
# Not ".patch_embed.": transformers of timm have such names with ".proj." after it.
OUR_ENCODER = WeightNames(
    "lightly_marlin (encoder)",
    (".patch_embed.weight", ".patch_embed.bias"),
    missing_prefix="encoder.",
)
OUR_TRAINING = WeightNames(
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
RELEASED = WeightNames("MARLIN", _RELEASED_SIGNS, _RELEASED_RENAMES)
RELEASED_ON_HUB = WeightNames(
    "MARLIN on the Hub",
    (".marlin.encoder.",),
    _RELEASED_RENAMES,
    prefix="marlin.",
)
VIDEOMAE = WeightNames(
    "VideoMAE",
    # Not ".encoder_to_decoder.": Hugging Face's VideoMAE has that, too.
    (".encoder.patch_embed.proj.",),
    (
        (".encoder.patch_embed.proj.", ".encoder.patch_embed."),
        (".encoder_to_decoder.", ".enc_dec_proj."),
        (".mask_token", ".decoder.mask_token"),
    ),
)
# The more special first: every sign of OURS is in names of VIDEOMAE too.
_FAMILIES = (RELEASED_ON_HUB, OUR_TRAINING, RELEASED, VIDEOMAE, OURS, OUR_ENCODER)
# Signs of what people mistake for one of these.
_STRANGERS = (
    (".videomae.", "Hugging Face's VideoMAE"),
    (".patch_embed.proj.", "timm, or a VideoMAE fine-tuned for classification,"),
)


def recognise(names: Iterable[str], path: Path | None = None) -> WeightNames:
    """Tells from the names of its weights who wrote a checkpoint.

    Args:
        names: Names in the file.
        path: The file, for the error message.

    Returns:
        The family of the checkpoint.

    Raises:
        UsageError: If no family has such names.
    """
    names = list(names)
    for family in _FAMILIES:
        if any(sign in f".{name}" for name in names for sign in family.signs):
            return family
    like = [who for sign, who in _STRANGERS if any(sign in f".{n}" for n in names)]
    raise UsageError(
        f"Unknown kind of checkpoint{f' {path}' if path else ''}, with weights such as "
        f"{', '.join(names[:3])}{f', as {like[0]} has them' if like else ''}. "
        f"Supported are those of {', '.join(family.family for family in _FAMILIES)}."
    )


def _channels_first(tensor: Tensor, tubelet: tuple[int, ...]) -> Tensor:
    """Reorders rows of VideoMAE's head, which predicts channels last."""
    channels, time, row, column = tubelet
    if tensor.shape[0] != channels * time * row * column:
        return tensor
    rows = torch.arange(tensor.shape[0]).view(time, row, column, channels)
    return tensor[rows.permute(3, 0, 1, 2).flatten()]
