"""Sizes of clips and of a MARLIN model, and the named models."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lightly_marlin.utils.errors import UsageError

__all__ = [
    "MarlinConfig",
    "TubeletSizes",
    "list_models",
    "name_of_config",
    "named_config",
]

# The released configurations on the Hub use other names for the same fields.
_RELEASED_NAMES = {
    "n_frames": "num_frames",
    "encoder_embed_dim": "encoder_dim",
    "decoder_embed_dim": "decoder_dim",
}


@dataclass(frozen=True)
class TubeletSizes:
    """Sizes of clips that are cut into tubelets, one token each.

    Attributes:
        img_size: Height and width of a frame in pixels.
        num_frames: Frames in a clip.
        tubelet_size: Frames in a tubelet; divides `num_frames`.
        patch_size: Height and width of a tubelet in pixels; divides `img_size`.
    """

    img_size: int = 224
    num_frames: int = 16
    tubelet_size: int = 2
    patch_size: int = 16

    _MULTIPLES: ClassVar[tuple[tuple[str, str], ...]] = (
        ("img_size", "patch_size"),
        ("num_frames", "tubelet_size"),
    )

    def __post_init__(self) -> None:
        """Rejects sizes from which no model can be built.

        Raises:
            UsageError: A ValueError, naming the field, its value and what is allowed.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, float):
                valid = isinstance(value, int | float) and value > 0
                allowed = "a positive number"
            else:
                valid = isinstance(value, int) and value > 0
                allowed = "a positive integer"
            if not valid or isinstance(value, bool):
                raise UsageError(
                    f"Invalid {field.name} ({value!r}). It must be {allowed}."
                )
        for whole, part in self._MULTIPLES:
            if getattr(self, whole) % getattr(self, part):
                raise UsageError(
                    f"Invalid {whole} ({getattr(self, whole)}). It must be a multiple "
                    f"of {part} ({getattr(self, part)})."
                )

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tokens along time, height and width."""
        side = self.img_size // self.patch_size
        return self.num_frames // self.tubelet_size, side, side

    @property
    def num_tokens(self) -> int:
        """Tokens of a clip."""
        time, height, width = self.grid
        return time * height * width


@dataclass(frozen=True)
class MarlinConfig(TubeletSizes):
    """Sizes of a MARLIN model; the defaults are those of `marlin_vit_base` [0].

    - [0]: MARLIN: Masked Autoencoder for facial video Representation LearnINg, 2023,
      https://arxiv.org/abs/2211.06627

    Attributes:
        img_size: Height and width of a frame in pixels.
        num_frames: Frames in a clip.
        tubelet_size: Frames in a tubelet; divides `num_frames`.
        patch_size: Height and width of a tubelet in pixels; divides `img_size`.
        in_channels: Channels of a frame.
        encoder_dim: Width of an encoder token.
        encoder_depth: Transformer blocks in the encoder.
        encoder_num_heads: Attention heads in the encoder; divides `encoder_dim`.
        decoder_dim: Width of a decoder token.
        decoder_depth: Transformer blocks in the decoder.
        decoder_num_heads: Attention heads in the decoder; divides `decoder_dim`.
        mlp_ratio: Width of the hidden layer of a block in multiples of the token's.
    """

    in_channels: int = 3
    encoder_dim: int = 768
    encoder_depth: int = 12
    encoder_num_heads: int = 12
    decoder_dim: int = 384
    decoder_depth: int = 4
    decoder_num_heads: int = 6
    mlp_ratio: float = 4.0

    _MULTIPLES: ClassVar[tuple[tuple[str, str], ...]] = (
        *TubeletSizes._MULTIPLES,
        ("encoder_dim", "encoder_num_heads"),
        ("decoder_dim", "decoder_num_heads"),
    )

    @property
    def tubelet_shape(self) -> tuple[int, int, int, int]:
        """Channels, frames, height and width of the pixels behind one token."""
        return self.in_channels, self.tubelet_size, self.patch_size, self.patch_size

    @property
    def patch_dim(self) -> int:
        """Pixel values behind one token."""
        return self.in_channels * self.tubelet_size * self.patch_size**2

    def to_dict(self) -> dict[str, int | float]:
        """Returns the fields by name, as plain numbers."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MarlinConfig:
        """Makes a configuration from the result of `to_dict`.

        Also reads the `config.json` of the models released on the Hub.

        Args:
            values: Fields by name; fields left out keep their default.

        Returns:
            The configuration.

        Raises:
            UsageError: If a name is not a field or a value is invalid.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if "encoder_embed_dim" in values:
            renamed = {_RELEASED_NAMES.get(k, k): v for k, v in values.items()}
            values = {name: renamed[name] for name in names if name in renamed}
        unknown = [name for name in values if name not in names]
        if unknown:
            raise UsageError(
                f"Unknown model settings {', '.join(map(repr, unknown))}. "
                f"Available settings are {', '.join(names)}."
            )
        return cls(**values)


_CONFIGS = {
    "marlin_vit_tiny": MarlinConfig(
        encoder_dim=192,
        encoder_depth=4,
        encoder_num_heads=3,
        decoder_dim=128,
        decoder_depth=2,
        decoder_num_heads=2,
    ),
    "marlin_vit_small": MarlinConfig(
        encoder_dim=384, encoder_num_heads=6, decoder_dim=192, decoder_num_heads=3
    ),
    "marlin_vit_base": MarlinConfig(),
    "marlin_vit_large": MarlinConfig(
        encoder_dim=1024,
        encoder_depth=24,
        encoder_num_heads=16,
        decoder_dim=512,
        decoder_depth=12,
        decoder_num_heads=8,
    ),
}
_ALIASES = {
    f"marlin_vit_{s}_ytf": f"marlin_vit_{s}" for s in ("small", "base", "large")
}


def list_models() -> list[str]:
    """Returns the names of the available models, smallest first."""
    return list(_CONFIGS)


def named_config(name: str, **overrides: Any) -> MarlinConfig:
    """Looks up the configuration of a named model.

    Args:
        name: One of `list_models()`, or a released name such as `marlin_vit_base_ytf`.
        overrides: Fields of `MarlinConfig` to set to other values.

    Returns:
        The configuration.

    Raises:
        UsageError: If the name or an override is unknown, or a value is invalid.
    """
    name = _ALIASES.get(name, name)
    if name not in _CONFIGS:
        raise UsageError(
            f"Unknown model {name!r}. Available models are {', '.join(list_models())}."
        )
    return MarlinConfig.from_dict({**_CONFIGS[name].to_dict(), **overrides})


def name_of_config(config: MarlinConfig, *, any_clips: bool = False) -> str:
    """Returns the name of the model of these sizes; an empty text if none has them.

    Args:
        config: The sizes.
        any_clips: Whether clips may have another size and length than the model's.
    """
    wanted = config.to_dict()
    clips = {name: wanted[name] for name in ("img_size", "num_frames")}
    changes = clips if any_clips else {}
    return next(
        (n for n, c in _CONFIGS.items() if {**c.to_dict(), **changes} == wanted), ""
    )
