"""Protocol of masking strategies: their inputs, outputs and declarations.

A strategy is a class with a name and one method, `draw`. Registered, it is an option of
pretraining and a row of the gallery; called, it is a transform on samples:

    @register_mask
    class LeftHalf(MaskStrategy):
        name, caption = "left", "the left half stays visible"

        def draw(self, given):
            ...
            return split_tokens(visible, num_keep, self.num_prefix_tokens)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import (
    Any,
    ClassVar,
    Literal,
    TypedDict,
    get_args,
    get_origin,
    get_type_hints,
)

import torch
from torch import Generator, Tensor

from lightly_marlin.regions import CELL_SIZE, RegionCells
from lightly_marlin.transforms.clip_draws import ClipDraws, Randomness
from lightly_marlin.transforms.sample import Sample, sample_regions, sample_video
from lightly_marlin.transforms.token_grid import GridSize, tile
from lightly_marlin.transforms.worker_stream import WorkerStream

__all__ = ["MaskInputs", "MaskStrategy", "MaskVariant", "Need", "check_option"]

Need = Literal["regions", "video"]
"""Entry of a sample that a strategy reads."""


@dataclass(frozen=True)
class MaskInputs:
    """Inputs of a strategy: regions, clips, token grid and randomness of a batch.

    Attributes:
        size: Batch size and token grid (B, (t, h, w)).
        regions: Labels (B, T, H, W) or `RegionCells` with bits (B, T, H / 8, W / 8);
            None if there are none. videos: Clips (B, C, T, H, W), uint8 in [0, 255] or
            floating point in [0, 1]; None where there are none.
        generator: Source of randomness, of any device; None for torch's global one.
        device: Device of the indices.
        draws: Random numbers clip by clip, which do not depend on the other clips of
            the batch; None where there are none.
    """

    size: GridSize
    regions: Tensor | RegionCells | None = None
    videos: Tensor | None = None
    generator: Generator | None = None
    device: torch.device | None = None
    draws: ClipDraws | None = None

    @property
    def source(self) -> Randomness | None:
        """Source of randomness for what can draw clip by clip."""
        return self.generator if self.draws is None else self.draws


@dataclass(frozen=True)
class MaskVariant:
    """Additional gallery row of a strategy.

    Attributes:
        name: Suffix after the name of the strategy.
        caption: Visible effect of these options, for readers of the gallery.
        options: Options of the strategy that differ from its defaults.
        decode_ratio: Share of the masked tokens that running cells decode, in (0, 1].
    """

    name: str
    caption: str
    options: Mapping[str, Any] = field(default_factory=dict)
    decode_ratio: float = 1.0


class _Sizes(TypedDict):
    patch_size: int
    tubelet_size: int
    num_prefix_tokens: int


@dataclass(eq=False)
class MaskStrategy(ABC):
    """Masking strategy for batches, and as a transform for single samples.

    A subclass with options of its own declares them as fields and is a dataclass too,
    with `eq=False, kw_only=True`.

    Attributes:
        name: Name in `--mask` and in the gallery.
        caption: Visible effect of such a mask, for readers of the gallery.
        needs: Entries of a sample that it reads; the others may be None. By default it
            reads only the size of the "video".
        position: Place in lists; equal positions keep the order of registration.
        variants: More rows of the gallery.
        mask_ratio: Share of tokens to mask, in (0, 1).
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet; 1 for images.
        num_prefix_tokens: Class tokens of the model; kept, first in idx_keep, and
            shifting all other indices.
        generator: Source of randomness of the transform; None for torch's global one.
            In DataLoader workers, see `worker_stream`.

    Raises:
        ValueError: If the value of an option is not supported.
    """

    name: ClassVar[str]
    caption: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]] = ()
    position: ClassVar[int] = 100
    variants: ClassVar[tuple[MaskVariant, ...]] = ()

    mask_ratio: float = 0.9
    # `options` cannot read the hint of a field of type KW_ONLY on Python 3.10.
    patch_size: int = field(default=16, kw_only=True)
    tubelet_size: int = field(default=2, kw_only=True)
    num_prefix_tokens: int = field(default=0, kw_only=True)
    generator: Generator | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Checks the strategy's own options."""
        for name, allowed in self.options().items():
            if allowed:
                check_option(name, getattr(self, name), allowed)
        self._stream = WorkerStream()

    @abstractmethod
    def draw(self, given: MaskInputs) -> tuple[Tensor, Tensor]:
        """Draws the masks of a batch.

        Returns:
            Tuple (idx_keep, idx_mask) of int64 indices, ascending, with shapes
            (B, num_prefix_tokens + n_keep) and (B, n_mask), n_keep being
            int(t * h * w * (1 - mask_ratio)).

        Raises:
            ValueError: If an input it needs is missing or has an unsupported shape or
                range.
        """

    def describe(self, given: MaskInputs, idx_mask: Tensor) -> str:
        """Returns the caption of a mask that was drawn.

        Args:
            given: Inputs that the mask was drawn from, a batch of one.
            idx_mask: int64 indices of the masked tokens, (1, n_mask).
        """
        return self.caption

    @classmethod
    def options(cls) -> dict[str, tuple[Any, ...]]:
        """Returns the strategy's own options with the values allowed.

        These are the values of a `Literal`; for other types, the tuple is empty.
        """
        types = get_type_hints(cls)
        shared = {option.name for option in fields(MaskStrategy)}
        own = (option.name for option in fields(cls) if option.name not in shared)
        return {
            name: get_args(types[name]) if get_origin(types[name]) is Literal else ()
            for name in own
        }

    def __call__(self, sample: Sample) -> dict[str, Any]:
        """Returns the sample with "idx_keep" (n_keep,) and "idx_mask" (n_mask,).

        Args:
            sample: Mapping with the entries that the strategy needs: "video" (C, T, H,
                W); "regions", which are label maps (T, H, W), region cells as int32 bit
                masks (T, H / 8, W / 8), or `RegionCells`. The size of the "video", if
                there is one, distinguishes maps from cells; otherwise `read_regions`
                does.

        Raises:
            ValueError: If an entry is missing or has an unsupported shape or dtype, or
                if regions could be either labels or cells.
        """
        idx_keep, idx_mask = self.draw(self._inputs(sample))
        return {**sample, "idx_keep": idx_keep[0], "idx_mask": idx_mask[0]}

    def _inputs(self, sample: Sample) -> MaskInputs:
        """Returns the sample as a batch of one."""
        regions, videos = None, None
        if "regions" in self.needs:
            regions = sample_regions(sample, self.patch_size)
            pixels = CELL_SIZE if isinstance(regions, RegionCells) else 1
            _, frames, *sides = regions.shape
            height, width = (pixels * side for side in sides)
        if "video" in self.needs or not self.needs:
            video = sample_video(sample)
            videos = video[None]
            frames, height, width = video.shape[1:]
        sizes = {"patch_size": self.patch_size, "tubelet_size": self.tubelet_size}
        grid = tile(frames, height, width, **sizes)
        return MaskInputs((1, grid), regions, videos, self._stream(self.generator))

    def _regions(self, given: MaskInputs) -> Tensor | RegionCells:
        if given.regions is None:
            raise ValueError(
                f"Invalid regions None: the {self.name} mask needs the regions."
            )
        return given.regions

    def _videos(self, given: MaskInputs) -> Tensor:
        if given.videos is None:
            raise ValueError(
                f"Invalid videos None: the {self.name} mask needs the clips."
            )
        return given.videos

    def _sizes(self) -> _Sizes:
        return {
            "patch_size": self.patch_size,
            "tubelet_size": self.tubelet_size,
            "num_prefix_tokens": self.num_prefix_tokens,
        }


def check_option(name: str, value: object, allowed: tuple[Any, ...]) -> None:
    """Raises ValueError unless an option has one of the values allowed."""
    if value not in allowed:
        raise ValueError(
            f"Invalid {name} ({value!r}). Supported values are "
            f"{', '.join(map(str, allowed))}."
        )
