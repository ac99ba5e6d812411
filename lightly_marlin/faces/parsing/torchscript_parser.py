"""Face parser that runs an exported segmentation network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lightly_marlin.faces.crop import crop_face
from lightly_marlin.faces.model_weights import ModelWeights
from lightly_marlin.faces.parsing.label_remap import check_remap
from lightly_marlin.faces.parsing.parser import check_parser_input
from lightly_marlin.regions import Label

__all__ = ["TorchScriptParser"]


class TorchScriptParser:
    """Runs a TorchScript segmentation network on the crop of each face.

    The network takes float32 RGB in [0, 1] with shape (T, 3, size, size) and returns
    logits (T, 11, h, w) or integer labels (T, h, w), in the order of LaPa's labels, at
    any resolution; `remap` supports networks with other classes. Loading runs only
    TorchScript code: nothing is unpickled. A parser can be pickled; the copy loads the
    file again.

    Example:
        >>> parser = TorchScriptParser("lapa.torchscript", size=448)
        >>> regions = parser(frames, boxes)
        >>> parser = TorchScriptParser("bisenet.pt", size=512, remap=CELEBAMASK_HQ)
    """

    def __init__(
        self,
        path: Path | str,
        *,
        size: int = 224,
        batch_size: int = 16,
        device: torch.device | str = "cpu",
        remap: Sequence[int] | None = None,
        licence: str = "not stated",
        commercial: bool | None = None,
    ) -> None:
        """Loads the network.

        Args:
            path: A file written by `torch.jit.save`.
            size: Side of the network's input in pixels.
            batch_size: Crops per call of the network.
            device: Device of the network.
            remap:
                LaPa label of each class of the network, in the order of its classes,
                such as `CELEBAMASK_HQ`; None for LaPa's own.
            licence: Licence of the weights, which stores record.
            commercial: Whether it allows commercial use; None if that is not known.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError:
                If the file is not a TorchScript network, an option is below 1, or
                `remap` names anything but LaPa labels.
        """
        for name, value in (("size", size), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"Invalid {name} {value}: must be at least 1.")
        table = check_remap(tuple(Label) if remap is None else remap)
        if not Path(path).is_file():
            raise FileNotFoundError(f"No TorchScript network at {path}.")
        try:
            network = torch.jit.load(  # type: ignore[no-untyped-call]
                str(path), map_location="cpu"
            )
        except RuntimeError as error:
            raise ValueError(
                f"Invalid network {path}: must be a file written by torch.jit.save. "
                "State dicts and pickled modules are not loaded."
            ) from error
        self.weights = (ModelWeights(Path(path).name, licence, commercial),)
        self._network = network.eval().to(device)
        self._path = Path(path).absolute()
        self._size = size
        self._batch_size = batch_size
        self._device = torch.device(device)
        self._remap = table
        status = Path(path).stat()
        self._fingerprint = f"{status.st_size} {status.st_mtime_ns} {size}"
        if remap is not None:
            self._fingerprint += f" {','.join(map(str, table))}"

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the file's size and time, the input's size, and `remap`."""
        return self._fingerprint

    def __reduce__(
        self,
    ) -> tuple[Callable[..., TorchScriptParser], tuple[Path]]:
        load = partial(
            type(self),
            size=self._size,
            batch_size=self._batch_size,
            device=self._device,
            remap=None if self._remap == tuple(Label) else self._remap,
            licence=self.weights[0].licence,
            commercial=self.weights[0].commercial,
        )
        return load, (self._path,)

    def __call__(
        self, frames: NDArray[np.uint8], boxes: NDArray[np.floating]
    ) -> NDArray[np.uint8]:
        """Parses one face per frame; see `FaceParser`.

        Raises:
            ValueError: If frames, boxes or the network's output are invalid.
        """
        check_parser_input(frames, boxes)
        regions = np.zeros(frames.shape[:3], dtype=np.uint8)
        for start in range(0, len(frames), self._batch_size):
            rows = slice(start, start + self._batch_size)
            crops = [
                crop_face(frame, box, self._size)
                for frame, box in zip(frames[rows], boxes[rows], strict=True)
            ]
            labels = self._segment(np.stack(crops))
            for region, box, crop in zip(
                regions[rows], boxes[rows], labels, strict=True
            ):
                _paste(region, box, crop)
        return regions

    @torch.inference_mode()
    def _segment(self, crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Returns labels (n, size, size) of crops (n, size, size, 3)."""
        images = torch.from_numpy(crops).to(self._device).permute(0, 3, 1, 2)
        output = self._network(images.float() / 255)
        classes = self._to_classes(output, len(crops))
        table = np.array(self._remap, dtype=np.uint8)
        return np.take(table, classes.to(torch.uint8).cpu().numpy())

    def _to_classes(self, output: Tensor, count: int) -> Tensor:
        """Returns the network's classes (n, size, size) from its logits or classes."""
        num_classes = len(self._remap)
        size = (self._size, self._size)
        if not isinstance(output, Tensor) or len(output) != count:
            raise self._bad_output(output)
        if output.ndim == 4 and output.shape[1] == num_classes:
            if output.shape[-2:] != size:
                output = functional.interpolate(
                    output, size=size, mode="bilinear", align_corners=False
                )
            return output.argmax(dim=1)
        if output.ndim != 3 or output.is_floating_point():
            raise self._bad_output(output)
        low, high = (int(value) for value in output.aminmax())
        if low < 0 or high >= num_classes:
            raise ValueError(
                f"Invalid labels in [{low}, {high}] from {self._path}: those of its "
                f"{num_classes} classes are in [0, {num_classes - 1}]."
            )
        if output.shape[-2:] != size:
            output = functional.interpolate(
                output[:, None].float(), size=size, mode="nearest-exact"
            )[:, 0].long()
        return output

    def _bad_output(self, output: object) -> ValueError:
        found = (
            f"{output.dtype} with shape {tuple(output.shape)}"
            if isinstance(output, Tensor)
            else type(output).__name__
        )
        return ValueError(
            f"Invalid output of {self._path}, {found}: must be logits with shape "
            f"(T, {len(self._remap)}, h, w) or integer labels with shape (T, h, w)."
        )


def _paste(
    region: NDArray[np.uint8], box: NDArray[np.floating], labels: NDArray[np.uint8]
) -> None:
    """Writes the labels (size, size) of a crop under its box into a map (H, W)."""
    height, width = region.shape
    size = len(labels)
    columns, source_x = _sources(float(box[0]), float(box[2]), width, size)
    rows, source_y = _sources(float(box[1]), float(box[3]), height, size)
    region[rows, columns] = labels[np.ix_(source_y, source_x)]


def _sources(
    low: float, high: float, length: int, size: int
) -> tuple[slice, NDArray[np.int64]]:
    """Returns the pixels of one axis whose middle lies in a box, and their sources."""
    first = max(0, int(np.ceil(low - 0.5)))
    last = min(length, int(np.ceil(high - 0.5)))
    middles = np.arange(first, max(first, last)) + 0.5
    sources = np.floor((middles - low) * size / (high - low)).astype(np.int64)
    return slice(first, max(first, last)), np.clip(sources, 0, size - 1)
