"""Settings of the training of a generator, by default for demo clips or for videos."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lightly_marlin.lip_sync.talking_settings import Defaults, TalkingSettings
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.settings import (
    AT_LEAST_1,
    NOT_NEGATIVE,
    Range,
    setting,
)

__all__ = ["GeneratorSettings"]

_DEFAULTS = Defaults(
    real={
        "model": "marlin_vit_base",
        "image_size": 224,
        "size": 96,
        "width": 32,
        "batch_size": 16,
        "learning_rate": 1e-4,
        "max_steps": 200_000,
        "validate_every": 2000,
        "mouth_weight": 0.0,
        "layer_decay": 0.75,
        "sync_weight": 0.01,
        "sync_threshold": 0.75,
    },
    demo={
        "model": "marlin_vit_tiny",
        "image_size": 96,
        "size": 48,
        "width": 8,
        "batch_size": 2,
        "learning_rate": 1e-3,
        "max_steps": 400,
        "validate_every": 100,
        # Lips are a thirtieth of these crops: the noise of the rest would hide them.
        "mouth_weight": 5.0,
        # Of a random encoder, no layer knows more than another.
        "layer_decay": 1.0,
        "sync_weight": 0.03,
        "sync_threshold": 99.0,
    },
)

# What other options decide already.
_ENCODER = ("model", "image_size", "encoder_weights")
_NETWORK = ("width", "size")

_SHARE_ABOVE_0 = Range("in (0, 1]", lambda value: 0 < value <= 1)
_POSITIVE = Range("above 0", lambda value: value > 0)


@dataclass(frozen=True)
class GeneratorSettings(TalkingSettings):
    """Networks, losses and length of the training."""

    out: Path = setting(Path("lip_sync_run"), "Folder of the run.")
    generator: Literal["marlin", "wav2lip"] = setting(
        "marlin", "With MARLIN's encoder, or Wav2Lip's form frame by frame."
    )
    encoder_weights: str | None = setting(
        None,
        "Weights of the encoder, of any kind that --weights takes elsewhere; without "
        "them, random ones.",
    )
    model: str | None = setting(
        None,
        _DEFAULTS.help("model", "Encoder, without --encoder-weights"),
        metavar="NAME",
    )
    image_size: int | None = setting(
        None,
        _DEFAULTS.help("image_size", "Pixels of its frames, without --encoder-weights"),
        AT_LEAST_1,
    )
    size: int | None = setting(
        None, _DEFAULTS.help("size", "Pixels of the generated faces"), AT_LEAST_1
    )
    width: int | None = setting(
        None, _DEFAULTS.help("width", "Channels after the stems"), AT_LEAST_1
    )
    weights: str | None = setting(None, "Generator to go on from: a folder or the Hub.")
    tune: Literal["all", "frozen"] = setting(
        "all", "Train the encoder, or leave it as it is.", metavar="WHAT"
    )
    layer_decay: float | None = setting(
        None,
        _DEFAULTS.help(
            "layer_decay", "Ratio of the rates of neighbouring layers of the encoder"
        ),
        _SHARE_ABOVE_0,
    )
    weight_decay: float = setting(0.01, "Weight decay of AdamW.", NOT_NEGATIVE)
    expert: str | None = setting(
        None,
        "Trained expert, see train_sync_expert.py: a folder or the Hub. Without it, "
        "sync is neither trained nor measured.",
    )
    max_offset: int = setting(
        1,
        "Tracks whose sound is further off, in frames by the expert, are left out.",
        NOT_NEGATIVE,
    )
    lower_weight: float = setting(
        1.0, "Weight of the L1 loss of lower halves; 0 as Wav2Lip.", NOT_NEGATIVE
    )
    mouth_weight: float | None = setting(
        None,
        _DEFAULTS.help("mouth_weight", "Weight of the L1 loss of mouths; 0 as Wav2Lip"),
        NOT_NEGATIVE,
    )
    sync_weight: float | None = setting(
        None,
        "Weight of the sync loss (default: 0.01; 0.03 with a critic and for the demo).",
        _POSITIVE,
    )
    sync_threshold: float | None = setting(
        None,
        _DEFAULTS.help(
            "sync_threshold", "Held-out sync loss below which it is switched on"
        ),
        _POSITIVE,
    )
    critic_weight: float = setting(
        0.0,
        "Weight of the loss by a critic of pictures; 0.07 as Wav2Lip.",
        NOT_NEGATIVE,
    )
    max_steps: int | None = setting(
        None, _DEFAULTS.help("max_steps", "Steps to train"), AT_LEAST_1
    )
    batch_size: int | None = setting(
        None, _DEFAULTS.help("batch_size", "Clips of a step"), AT_LEAST_1
    )
    learning_rate: float | None = setting(
        None, _DEFAULTS.help("learning_rate", "Peak learning rate"), NOT_NEGATIVE
    )
    warmup_steps: int | None = setting(
        None, "Steps of the warm-up (default: a twentieth of all).", NOT_NEGATIVE
    )
    clips_per_track: int = setting(
        2, "Clips of a track that is held out, at most.", AT_LEAST_1
    )
    validate_every: int | None = setting(
        None,
        _DEFAULTS.help("validate_every", "Steps between two validations"),
        AT_LEAST_1,
    )

    def completed(self) -> GeneratorSettings:
        """Returns the settings with the defaults that suit the data and the networks.

        Raises:
            UsageError: If an option says what --weights or --encoder-weights decide.
        """
        own = asdict(self)
        decided: dict[str, tuple[str, ...]] = {
            "--weights": (*_ENCODER, *_NETWORK) if self.weights is not None else (),
            "--encoder-weights": _ENCODER[:2] if self.encoder_weights else (),
            "--generator wav2lip": (
                (*_ENCODER, "size") if self.generator == "wav2lip" else ()
            ),
        }
        defaults: dict[str, Any] = dict(_DEFAULTS.demo if self.demo else _DEFAULTS.real)
        for by, names in decided.items():
            for name in names:
                if own[name] is not None:
                    raise UsageError(
                        f"--{name.replace('_', '-')} is decided by {by}: leave it out."
                    )
                defaults.pop(name, None)
        if self.critic_weight and not self.demo:
            defaults["sync_weight"] = 0.03
        defaults["warmup_steps"] = (self.max_steps or defaults["max_steps"]) // 20
        missing = {name: x for name, x in defaults.items() if own[name] is None}
        return replace(self, **missing)
