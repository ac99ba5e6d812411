"""Encoder with a head that predicts labels, and everything needed to use it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.probes.head_start import HeadStart
from lightly_marlin.evaluation.tuning.feature_norm import FeatureNorm
from lightly_marlin.models import MarlinEncoder, accelerate_cpu, load_encoder
from lightly_marlin.models.weights.config_file import CONFIG_NAME, HEAD_KEY
from lightly_marlin.models.weights.source import WEIGHTS_NAME, locate
from lightly_marlin.models.weights.state_dict import read_state_dict
from lightly_marlin.store.crop_options import CropOptions
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, write_json

__all__ = ["TunedModel"]

_INIT_STD = 0.02 * 0.001  # As in VideoMAE: all classes begin alike.
_NORM = "batch_norm"


class TunedModel(nn.Module):
    """Mean of the encoder's tokens, its LayerNorm, dropout and a linear layer.

    With `batch_norm`, features are standardised before the dropout, see `FeatureNorm`.

    A folder of `save_pretrained` loads everywhere an encoder's weights do, without the
    head, and as a whole by `from_pretrained`.

    Attributes:
        encoder: The encoder.
        head: Linear layer from features (B, D) to outputs (B, K).
        norm: Batch norm of the features; None if they stay as they are.
        target: Kind and names of the labels.
        sample_rate: Frames of the video from one frame of a clip to the next.
        crops: Options of the face crops that it was trained on, in the form of
            `CropOptions.crops`; None if they differed or are unknown.
        task: Name of the labels.
    """

    scale: Tensor | None
    offset: Tensor | None

    def __init__(
        self,
        encoder: MarlinEncoder,
        target: Target,
        *,
        dropout: float = 0.0,
        batch_norm: bool = False,
        sample_rate: int = 2,
        crops: Mapping[str, Any] | None = None,
        task: str = "labels",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.target = target
        self.sample_rate = sample_rate
        self.crops = None if crops is None else dict(crops)
        self.task = task
        self.norm = FeatureNorm(encoder.embed_dim) if batch_norm else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.embed_dim, target.num_outputs)
        nn.init.trunc_normal_(self.head.weight, std=_INIT_STD, a=-1, b=1)
        nn.init.zeros_(self.head.bias)
        regression = target.kind == "regression"
        count = target.num_outputs
        self.register_buffer("scale", torch.ones(count) if regression else None)
        self.register_buffer("offset", torch.zeros(count) if regression else None)

    def start_at(self, labels: Tensor) -> None:
        """Lets the head begin as the constant predictor, see `HeadStart`.

        So few steps suffice for rare labels, and for values of any unit.

        Args:
            labels: float32 tensor (n, C): labels of the training items.
        """
        start = HeadStart.of(self.target, labels)
        with torch.no_grad():
            self.head.bias.copy_(start.bias)
        if self.scale is not None and self.offset is not None:
            self.scale.copy_(start.spread)
            self.offset.copy_(start.center)

    def forward(self, videos: Tensor) -> Tensor:
        """Returns outputs for clips of square frames of any size.

        Args:
            videos: Clips (B, 3, T, H, H), uint8 in [0, 255] or floating point in
                [0, 1]; at least two in training with batch norm.

        Returns:
            Floating-point tensor (B, K): logits, or the values of a regression.
        """
        return self.predict(self.features(videos))

    def features(self, videos: Tensor) -> Tensor:
        """Returns the encoder's features (B, D) of clips, see `forward`."""
        clips = fit_frames(videos, self.encoder.config.img_size)
        features: Tensor = self.encoder(clips)
        return features

    def predict(self, features: Tensor) -> Tensor:
        """Returns the outputs (B, K) for features (B, D), see `forward`."""
        if self.norm is not None:
            features = self.norm(features)
        outputs: Tensor = self.head(self.dropout(features))
        if self.scale is not None and self.offset is not None:
            outputs = outputs.float() * self.scale + self.offset
        return outputs

    def save_pretrained(self, folder: str | Path, *, card: str | None = None) -> None:
        """Writes weights, configuration and model card, each atomically.

        Args:
            folder: The folder; created if it does not exist.
            card: Content of README.md; none if left out.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = self._state()
        tensors = {name: x.contiguous() for name, x in state.items()}
        with atomic_write(folder / WEIGHTS_NAME) as temporary:
            save_file(tensors, temporary, metadata={"format": "pt"})
        target = {"kind": self.target.kind, "names": list(self.target.names)}
        head = {
            "task": self.task,
            "target": target,
            "sample_rate": self.sample_rate,
            "crops": self.crops,
            _NORM: self.norm is not None,
        }
        write_json(
            folder / CONFIG_NAME, {**self.encoder.config.to_dict(), HEAD_KEY: head}
        )
        if card is not None:
            with atomic_write(folder / "README.md") as temporary:
                temporary.write_text(card, encoding="utf-8")

    @classmethod
    def from_pretrained(cls, source: str | Path) -> TunedModel:
        """Loads a model that `save_pretrained` wrote.

        Args:
            source: A folder, or the id of a repository on the Hugging Face Hub.

        Returns:
            The model, on the CPU, accelerated there, and in evaluation mode.

        Raises:
            UsageError: A ValueError, if there is no model with a head, or the head does
                not fit the encoder or the names of the labels.
        """
        path = locate(source)
        head = _read_head(locate(source, CONFIG_NAME))
        state = {
            name: tensor
            for name, tensor in read_state_dict(path).items()
            if not name.startswith("encoder.")
        }
        with warnings.catch_warnings():
            # It is loaded here, by its own checks.
            warnings.filterwarnings("ignore", ".* holds more than a MarlinEncoder")
            encoder = load_encoder(source)
        try:
            target = Target(head["target"]["kind"], tuple(head["target"]["names"]))
            model = cls(
                encoder,
                target,
                batch_norm=bool(head.get(_NORM, False)),
                sample_rate=int(head["sample_rate"]),
                crops=head["crops"],
                task=str(head["task"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"The configuration of the model {source} cannot be used: its "
                f"{HEAD_KEY} lacks or has an invalid {error}."
            ) from error
        model._load_head(state, path)
        return accelerate_cpu(model).eval()

    @property
    def crop_options(self) -> CropOptions:
        """Options for cropping the faces of other videos as in training.

        Raises:
            UsageError: If they are unknown, or of another version of the pipeline.
        """
        if self.crops is None:
            raise UsageError(
                "The model does not say how its face crops were made: its store was "
                "prepared with different options. Give the options."
            )
        return CropOptions.from_crops(self.crops)

    def _state(self) -> dict[str, Tensor]:
        """Returns the state dict without batch norm's counter, which is not used."""
        state: dict[str, Tensor] = self.state_dict()
        return {
            name: x for name, x in state.items() if name != "norm.num_batches_tracked"
        }

    def _load_head(self, state: Mapping[str, Tensor], path: Path) -> None:
        own = {
            name: tensor
            for name, tensor in self._state().items()
            if not name.startswith("encoder.")
        }
        there = {name: tuple(tensor.shape) for name, tensor in state.items()}
        here = {name: tuple(tensor.shape) for name, tensor in own.items()}
        if there != here:
            raise UsageError(
                f"The head in {path} does not fit its encoder of width "
                f"{self.encoder.embed_dim} and its {self.target.num_outputs} labels: "
                f"it has {_shapes(there)} instead of {_shapes(here)}."
            )
        broken = [name for name, x in state.items() if not torch.isfinite(x).all()]
        if broken:
            raise UsageError(
                f"The head in {path} holds NaN or infinity: {', '.join(broken)}."
            )
        self.load_state_dict(dict(state), strict=False)


def _read_head(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
        head = values[HEAD_KEY]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} describes no fine-tuned model: it has no {HEAD_KEY!r}. Name the "
            "folder model/ that finetune.py wrote."
        ) from error
    if not isinstance(head, dict):
        raise UsageError(f"{path} is damaged: its {HEAD_KEY!r} holds {head!r}.")
    return head


def _shapes(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing"
