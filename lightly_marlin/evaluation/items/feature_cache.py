"""Cache of extracted features: a folder per encoder, options and source.

Nothing is computed twice. Stretches that an earlier table asked for stay in the cache,
so tables with different stretches of the same videos do not displace each other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lightly_marlin.evaluation.items.item_rows import WHOLE, has_regular_row
from lightly_marlin.evaluation.items.model_facts import model_facts
from lightly_marlin.features.batching import feature_shape
from lightly_marlin.features.extract_folder import extract_folder, video_sources
from lightly_marlin.features.extract_store import extract_store, store_sources
from lightly_marlin.features.extraction_run import Extraction
from lightly_marlin.features.feature_ledger import FeatureRecord, read_journal
from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.window_model import AnyModel, encoder_of
from lightly_marlin.features.windows import Stretch
from lightly_marlin.store.crop_options import CropOptions, common_crops
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.store.sharding import StoreLayout, is_face_store
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.remote import is_url

__all__ = ["FeatureCache", "open_if_store"]


class FeatureCache:
    """Features of the videos of one source by one encoder, extracted when asked for.

    Attributes:
        where: The source, for messages.
        folder: The folder of the features.
        finds_faces: Whether the windows are those of faces.
        shape: Shape of the features of a window.
        dtype: Type of the features.
    """

    def __init__(
        self,
        encoder: AnyModel,
        source: FaceStore | Path | str,
        cache: Path,
        options: ExtractionOptions,
        *,
        all_faces: bool = False,
        whole_frames: bool = False,
        crops: CropOptions | None = None,
        precision: str = "32",
        batch_size: int | None = None,
        num_workers: int | None = 0,
    ) -> None:
        """Opens the source; nothing is read or written yet.

        Args:
            encoder: An encoder or another `WindowModel`, or a whole model.
            source: A face store or its folder, or videos as for `extract_folder`.
            cache: The folder of all caches.
            options: Options of windows and features, without those of faces.
            all_faces: Find every face in videos, not only the main one.
            whole_frames: Take the frames of videos as crops of a face.
            crops: Options of search and crops in videos.
            precision: "32" or "bf16".
            batch_size: Windows that are encoded together.
            num_workers: Processes that read and crop.

        Raises:
            UsageError: If the source is no store and holds no video, an option is
                invalid, or one is given that does not apply to the source.
        """
        self._encoder = encoder
        self._store = open_if_store(source)
        self.where = str(source) if self._store is None else str(self._store.path)
        self.finds_faces = not whole_frames
        for name, given in (
            ("whole_frames", whole_frames and self._store is not None),
            ("crops", crops is not None and (whole_frames or self._store is not None)),
        ):
            if given:
                raise UsageError(
                    f"Invalid {name}: no crops are made of {self.where}. They are made "
                    "of videos, unless whole_frames says that they are crops already."
                )
        if self._store is None and not whole_frames:
            chosen = vars(crops or CropOptions())
            options = replace(options, crop_face=True, all_faces=all_faces, **chosen)
        self._options = options
        self._settings: dict[str, Any] = {
            "precision": precision,
            "batch_size": batch_size,
            "num_workers": num_workers,
        }
        self.shape = feature_shape(
            encoder_of(encoder).config,
            keep_seq=options.keep_seq,
            pool_tokens=options.pool_tokens,
        )
        self.dtype: torch.dtype = getattr(torch, options.dtype)
        settings = Extraction(encoder, options, precision).settings()
        self._weights: str = settings["weights"]
        # Videos of two folders may have the same names.
        settings["path"] = os.path.realpath(self.where)
        text = json.dumps(settings, sort_keys=True)
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        # Another folder for other features.
        self.folder = cache.absolute() / digest

    def sources(self) -> list[str]:
        """Returns the names of all videos of the source, sorted."""
        if self._store is not None:
            return store_sources(self._store)
        return video_sources(self.where)

    def extract(
        self, names: Sequence[str | None], stretches: Sequence[Stretch]
    ) -> dict[str, FeatureRecord]:
        """Extracts what is missing of the items' videos.

        Args:
            names: Source of each item; None for an item without a video.
            stretches: Stretch of each item.

        Returns:
            The record of every video by source. A stretch that holds the middle of no
            regular window has a row of its own, if a track is there at all.
        """
        wanted: dict[str, set[Stretch]] = {}
        for name, stretch in zip(names, stretches, strict=True):
            if name is not None:
                own = wanted.setdefault(name, set())
                if stretch != WHOLE and _can_hold_frames(stretch):
                    own.add(stretch)
        journal = read_journal(self.folder)
        segments = {
            name: _segments_of(journal[name]) if name in journal else own
            for name, own in wanted.items()
        }
        records = self._run(segments)
        # Of videos that another table has been there for, some stretches may lack one.
        lacking = {
            name: {
                stretch
                for stretch in wanted[name] - segments[name]
                if record.status == "ok" and not has_regular_row(record.rows, stretch)
            }
            for name, record in records.items()
        }
        if any(lacking.values()):
            segments = {name: segments[name] | lacking[name] for name in segments}
            records = self._run(segments)
        return records

    def model(self) -> dict[str, Any]:
        """Returns name, digest of the weights and sizes of the encoder."""
        return model_facts(self._encoder, self._weights)

    def describe(self, records: Iterable[FeatureRecord]) -> dict[str, Any]:
        """Returns source, crops, windows and precision, for the result.

        Args:
            records: Records of the videos.
        """
        fingerprints = [record.fingerprint for record in records if record.rows]
        store = self._store
        kind = "videos" if self.finds_faces else "whole frames"
        return {
            "source": kind if store is None else "store",
            "crops": common_crops(fingerprints) if self.finds_faces else None,
            "jpeg_quality": None if store is None else store.jpeg_quality,
            "sample_rate": self._options.sample_rate,
            "stride": self._options.stride,
            "precision": self._settings["precision"],
            "tokens": self._options.keep_seq,
            "pool_tokens": self._options.pool_tokens,
            "dtype": self._options.dtype,
        }

    def _run(self, segments: Mapping[str, set[Stretch]]) -> dict[str, FeatureRecord]:
        arguments: dict[str, Any] = {
            "options": self._options,
            "sources": list(segments),
            "segments": {name: list(own) for name, own in segments.items() if own},
            **self._settings,
        }
        if self._store is not None:
            summary = extract_store(
                self._encoder, self._store, self.folder, **arguments
            )
        else:
            summary = extract_folder(
                self._encoder, self.where, self.folder, **arguments
            )
        return {record.source: record for record in summary.records}


def open_if_store(source: FaceStore | Path | str) -> FaceStore | None:
    """Returns the store that a source is; None if it is a path of videos.

    Args:
        source: A face store or its folder; or a folder, file or pattern of videos.
    """
    if isinstance(source, FaceStore):
        return source
    if is_url(source):
        return None if StoreLayout.read(source) is None else FaceStore(source)
    return FaceStore(source) if is_face_store(Path(source)) else None


def _segments_of(record: FeatureRecord) -> set[Stretch]:
    """Returns the stretches that a video was extracted with."""
    segments = record.fingerprint.get("segments", [])
    return {(start, end) for start, end in segments}


def _can_hold_frames(stretch: Stretch) -> bool:
    """Returns whether a stretch is not before the beginning of its video."""
    return stretch[1] is None or stretch[1] > 0
