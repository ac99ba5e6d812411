"""Weight files that make a store, each with its licence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lightly_marlin.utils.errors import UsageError

if TYPE_CHECKING:
    from lightly_marlin.faces import ModelWeights
    from lightly_marlin.preparation.prepare_video import PreparationOptions

__all__ = ["check_commercial", "used_weights"]

_REMEDIES = {
    "landmarks": "No landmark predictor for commercial use is built in: plug in a "
    "detector that brings its own, --detector package.module:factory "
    "(docs/detectors.md)",
    "detector": "hog, cnn and auto may be used, or state its weights in the detector "
    "(docs/detectors.md)",
    "parser": "Use another parser, or none, or state its weights in the parser",
}


def used_weights(options: PreparationOptions) -> tuple[dict[str, Any], ...]:
    """Returns the weights that preparation uses, as `report.json` lists them.

    Args:
        options: Options of the preparation.

    Returns:
        Dicts with `role` ("detector", "landmarks", "embedding" or "parser"), `name`,
        `licence`, and `commercial`, which is None where that is not stated.
    """
    from lightly_marlin.faces import DlibEmbedder, DlibLandmarks, ModelWeights
    from lightly_marlin.faces.detection.detector_registry import load_detectors

    detectors, parser = load_detectors(options.detector), options.parser
    landmarks = detectors[0].landmarks
    predictor = DlibLandmarks if landmarks is None else landmarks
    uses: list[tuple[str, str, Sequence[ModelWeights]]] = [
        *(("detector", options.detector, one.weights) for one in detectors),
        ("landmarks", type(predictor).__name__, predictor.weights),
        ("embedding", DlibEmbedder.__name__, DlibEmbedder.weights),
    ]
    if parser is not None:
        uses.append(("parser", type(parser).__name__, getattr(parser, "weights", ())))
    return tuple(
        {"role": role, **asdict(one)}
        for role, name, weights in uses
        for one in weights or (ModelWeights(name),)
    )


def check_commercial(weights: Sequence[dict[str, Any]]) -> None:
    """Raises UsageError unless all weights are known to allow commercial use.

    Args:
        weights: From `used_weights`.
    """
    for one in weights:
        if not one["commercial"]:
            raise UsageError(
                f"Commercial use is excluded by the {one['role']} weights "
                f"{one['name']} (licence: {one['licence']}). {_REMEDIES[one['role']]}."
            )
