"""Measures of one generated video beside its real one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from lightly_marlin.lip_sync.frame_rate import FPS
from lightly_marlin.lip_sync.measures.face_sound import (
    PlacedFace,
    TalkingFace,
    placed_face,
    shift_sound,
)
from lightly_marlin.lip_sync.measures.inception import FidInception
from lightly_marlin.lip_sync.measures.picture_errors import PictureErrors
from lightly_marlin.lip_sync.measures.same_moments import Moment, same_moments
from lightly_marlin.lip_sync.measures.sync_reading import measure_video, too_short
from lightly_marlin.lip_sync.measures.syncnet import SyncNet
from lightly_marlin.lip_sync.measures.video_pairs import VideoPair
from lightly_marlin.lip_sync.networks.sync_expert import SyncExpert
from lightly_marlin.store import CropOptions
from lightly_marlin.utils.media import MediaError

__all__ = [
    "CONTROL_SHIFT",
    "NETWORK_MEASURES",
    "PairMeasures",
    "PairMeter",
    "PairRecord",
]

CONTROL_SHIFT = 5
"""Frames by which the sound of the control is early."""

NETWORK_MEASURES = {
    "syncnet": ("lse_d", "lse_c", "offset"),
    "expert": ("expert_distance", "expert_confidence", "expert_offset"),
}
"""Names of distance, confidence and offset by the network that measures them. Only
those of SyncNet are LSE."""

_BATCH = 16
_STRIP_FRAMES = 8

Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass
class PairRecord:
    """Numbers of a pair, or the reason why there are none.

    Attributes:
        name: Name of the pair.
        reason: Why it could not be measured; empty if it was.
        notes: What was not, or only in part, compared.
        seconds: Seconds whose pictures were compared.
        real: Measures of the real video by name.
        generated: Measures of the generated one.
    """

    name: str
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    real: dict[str, float] = field(default_factory=dict)
    generated: dict[str, float] = field(default_factory=dict)


class PairMeasures(NamedTuple):
    """Numbers of a pair, and the arrays that pictures and FID are made of.

    Attributes:
        record: The numbers.
        arrays: By name: "syncnet/real", "expert/generated" and so on, distances (31,),
            with "shifted" for the control; "inception/real" and "inception/generated",
            features (n, num_features); "strip/real" and "strip/generated", uint8 crops
            (T, H, W, 3).
    """

    record: PairRecord
    arrays: Arrays


@dataclass(frozen=True)
class PairMeter:
    """Measures pairs of videos, by the networks that there are.

    Attributes:
        syncnet: SyncNet with its published weights, for LSE-D, LSE-C and offset.
        expert: A trained expert, for the same of its own.
        inception: Network of the Fréchet Inception distance.
        fid_on: "faces" or "frames": images that its features are taken of.
        crops: Options of the search for faces.
        max_seconds: Seconds of the face to measure, from where it appears.
    """

    syncnet: SyncNet | None = None
    expert: SyncExpert | None = None
    inception: FidInception | None = None
    fid_on: str = "faces"
    crops: CropOptions = field(default_factory=CropOptions)
    max_seconds: float = 60.0

    def measure(
        self, pair: VideoPair, *, control: bool = False, strip: bool = False
    ) -> PairMeasures:
        """Measures a pair.

        Args:
            pair: The pair.
            control: Measure the real video also with its sound 5 frames early.
            strip: Keep a few crops for a film strip.

        Returns:
            The measures; without numbers, but with a reason, if either video has no
            sound or no face, is too short, or cannot be read.
        """
        record, arrays = PairRecord(pair.name), Arrays()
        try:
            self._measure(pair, record, arrays, control=control, strip=strip)
        except _LeftOutError as error:
            return PairMeasures(PairRecord(pair.name, str(error)), {})
        return PairMeasures(record, arrays)

    def _measure(
        self,
        pair: VideoPair,
        record: PairRecord,
        arrays: Arrays,
        *,
        control: bool,
        strip: bool,
    ) -> None:
        faces = {
            "real": self._face("real", pair.real),
            "generated": self._face("generated", pair.generated),
        }
        for side, placed in faces.items():
            self._measure_sync(side, placed.face, record, arrays)
        if control:
            shifted = shift_sound(faces["real"].face, CONTROL_SHIFT)
            self._measure_sync("shifted", shifted, record, arrays)
        moments = same_moments(
            pair.real, faces["real"], pair.generated, faces["generated"]
        )
        try:
            self._compare(moments, faces, record, arrays, strip=strip)
        except MediaError as error:
            side = "real" if error.path == str(pair.real) else "generated"
            raise _LeftOutError(f"{side}: {error.reason}") from error

    def _face(self, side: str, path: Path) -> PlacedFace:
        try:
            return placed_face(path, self.crops, max_seconds=self.max_seconds)
        except MediaError as error:
            raise _LeftOutError(f"{side}: {error.reason}") from error

    def _measure_sync(
        self, side: str, face: TalkingFace, record: PairRecord, arrays: Arrays
    ) -> None:
        """Adds what the networks say of lips and sound."""
        for network, names in NETWORK_MEASURES.items():
            measuring = getattr(self, network)
            if measuring is None:
                continue
            reading = measure_video(measuring, face, batch_size=_BATCH)
            if reading is None:
                raise _LeftOutError(f"{side}: {too_short(face)}")
            arrays[f"{network}/{side}"] = reading.distances
            if side != "shifted":
                values = (reading.distance, reading.confidence, float(reading.offset))
                getattr(record, side).update(zip(names, values, strict=True))

    def _compare(
        self,
        moments: Iterator[Moment],
        faces: dict[str, PlacedFace],
        record: PairRecord,
        arrays: Arrays,
        *,
        strip: bool,
    ) -> None:
        """Adds what is told by pictures of the same moments."""
        errors, count, sizes = PictureErrors(), 0, ""
        crops: list[npt.NDArray[np.uint8]] = []
        features: dict[str, list[npt.NDArray[np.float32]]] = {s: [] for s in faces}
        for moment in moments:
            count += 1
            if moment.generated_crop is None:
                sizes = sizes or _sizes(moment)
            elif not sizes:
                errors.update(moment)
                if strip:
                    crops.append(moment.generated_crop)
            if self.inception is not None and self.fid_on == "frames":
                features["real"].append(self._features(moment.real[None]))
                features["generated"].append(self._features(moment.generated[None]))
        record.seconds = count / FPS
        if count and not sizes:
            record.generated.update(errors.compute())
        record.notes += _notes(faces, count, sizes)
        if strip:
            shown = faces["real"].face.frames[: max(count, 1)]
            made = faces["generated"].face.frames
            arrays["strip/real"] = _spread(shown)
            arrays["strip/generated"] = _spread(
                np.stack(crops) if crops and not sizes else made
            )
        if self.inception is not None and self.fid_on == "faces":
            for side, placed in faces.items():
                features[side].append(self._features(placed.face.frames))
        for side, parts in features.items():
            if parts:
                arrays[f"inception/{side}"] = np.concatenate(parts)

    @torch.no_grad()
    def _features(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Returns Inception's features of images (n, H, W, 3)."""
        assert self.inception is not None
        device = self.inception.fc.weight.device
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
        parts = [
            self.inception(part.to(device)).cpu()
            for part in torch.split(pixels, _BATCH)
        ]
        features: npt.NDArray[np.float32] = torch.cat(parts).float().numpy()
        return features


class _LeftOutError(Exception):
    """Reason why a pair cannot be measured."""


def _spread(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Returns a few frames, evenly spaced from the first to the last."""
    count = min(_STRIP_FRAMES, len(frames))
    rows = np.linspace(0, len(frames) - 1, count).round().astype(int)
    kept: npt.NDArray[np.uint8] = frames[rows]
    return kept


def _sizes(moment: Moment) -> str:
    (h, w), (height, width) = moment.real.shape[:2], moment.generated.shape[:2]
    return (
        f"its pictures of {width}x{height} pixels are not compared with the real ones "
        f"of {w}x{h}"
    )


def _notes(faces: dict[str, PlacedFace], count: int, sizes: str) -> list[str]:
    """Returns what was not, or only in part, compared."""
    real, generated = faces["real"].duration, faces["generated"].duration
    notes = [sizes] if sizes else []
    if abs(real - generated) > 1 / FPS + 1e-6:
        notes.append(
            f"it lasts {generated:.2f} s and the real one {real:.2f} s: pictures of "
            f"{count / FPS:.2f} s are compared"
        )
    return notes
