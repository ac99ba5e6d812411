"""Checkpoint of any known layout, read once and loaded into models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from lightly_marlin.models.config import MarlinConfig
from lightly_marlin.models.weights.architecture import infer_architecture
from lightly_marlin.models.weights.config_file import find_config
from lightly_marlin.models.weights.fit import (
    check_config,
    check_finite,
    check_names_and_shapes,
    spare_names,
    warn_of_left_out,
)
from lightly_marlin.models.weights.layout import Layout, without_wrappers
from lightly_marlin.models.weights.placement import place_encoder
from lightly_marlin.models.weights.positional_interpolation import (
    fit_positions,
    warn_of_positions,
)
from lightly_marlin.models.weights.source import locate, split_prefix
from lightly_marlin.models.weights.state_dict import read_state_dict

__all__ = ["Checkpoint", "load_weights"]


@dataclass(frozen=True)
class Checkpoint:
    """Checkpoint that was read: its weights, layout and configuration.

    Attributes:
        path: Path of the weights file.
        layout: Layout of the file, which names the weights.
        tensors: Weights on the CPU by their names in `Marlin.state_dict()`, or with the
            prefix "discriminator."; shapes and dtypes are those of the file.
        config: Configuration beside the weights; None if there is none.
        left_out: Names of weights in the file that do not belong to the model.
    """

    path: Path
    layout: Layout
    tensors: Mapping[str, Tensor]
    config: MarlinConfig | None
    left_out: tuple[str, ...] = ()

    @classmethod
    def open(cls, source: str | Path, config: MarlinConfig | None = None) -> Checkpoint:
        """Finds and reads a checkpoint.

        Args:
            source: Path of a checkpoint or of a folder with `model.safetensors`, or the
                id of a repository on the Hugging Face Hub. Supported are MARLIN's
                released checkpoints, those of this package and of VideoMAE pretraining,
                and an encoder of any of them inside a larger model. If a file holds
                several, "#" and a prefix choose one: "run.pt#teacher".
            config: Configuration of the weights; None to look for a `config.json`
                beside them.

        Returns:
            The checkpoint.

        Raises:
            UsageError: A ValueError, if `source` does not exist, cannot be read without
                running code, is of an unknown layout, or holds several encoders and
                none is chosen.
        """
        source, prefix = split_prefix(source)
        path = locate(source)
        config = config or find_config(source, path)
        state = without_wrappers(read_state_dict(path))
        place = place_encoder(state, path, prefix)
        tensors = {ours: state[name] for ours, name in place.weights.items()}
        used = set(place.weights.values())
        left_out = tuple(name for name in state if name not in used)
        return cls(path, place.layout, tensors, config, left_out)

    @property
    def parts(self) -> set[str]:
        """Parts: some of "encoder", "enc_dec_proj", "decoder", "discriminator"."""
        return {name.partition(".")[0] for name in self.tensors}

    def architecture(self) -> MarlinConfig:
        """Returns the configuration beside the weights, or infers it from their shapes.

        Raises:
            UsageError: A ValueError, if the weights match no named model.
        """
        return self.config or infer_architecture(self.tensors, self.path)

    def load_into(self, module: nn.Module) -> None:
        """Loads a module's part of the checkpoint into it; see `load_weights`.

        Args:
            module: A `Marlin`, `MarlinEncoder` or `MarlinDiscriminator`.

        Raises:
            UsageError: A ValueError, if the weights do not fit, or hold NaN or
                infinity; the message names them.
        """
        prefix = str(module.state_prefix)
        own = {prefix + name: tensor for name, tensor in module.state_dict().items()}
        config = getattr(module, "config", None)
        found = self._tensors_for(config)
        grids = set()
        if config is not None:
            if self.config is not None:
                check_config(config, self.config, self.path, encoder_only=bool(prefix))
            grids = fit_positions(own, found, config, self.config)
        refusal = f"The weights in {self.path} do not fit {type(module).__name__}"
        check_names_and_shapes(own, found, self.layout, refusal, config)
        check_finite(own, found, self.layout, self.path)
        if config is not None:
            warn_of_positions(own, found, grids, config, self.path)
            spare = map(self.layout.theirs, spare_names(own, found))
            left_out = [*spare, *self.left_out]
            warn_of_left_out(left_out, type(module).__name__, self.path)
        fitting = {name: found.get(name, tensor) for name, tensor in own.items()}
        module.load_state_dict(
            {name.removeprefix(prefix): tensor for name, tensor in fitting.items()}
        )

    def _tensors_for(self, config: MarlinConfig | None) -> dict[str, Tensor]:
        """Returns the tensors in the form that our models use."""
        if config is None:
            return dict(self.tensors)
        shape = config.tubelet_shape
        return {n: self.layout.convert(n, t, shape) for n, t in self.tensors.items()}


def load_weights(module: nn.Module, source: str | Path) -> None:
    """Loads a module's part of a checkpoint into it.

    All or nothing: a checkpoint that does not fit leaves the module unchanged.
    Positional embeddings are read from the file if it has them; if they are for another
    number of frames or frame size, they are interpolated, with a warning. Another
    warning names weights that are left out, such as those of a classification head.

    Args:
        module: A `Marlin`, `MarlinEncoder` or `MarlinDiscriminator`.
        source: Checkpoint, as for `Checkpoint.open`.

    Raises:
        UsageError: A ValueError, if `source` does not exist, cannot be read without
            running code, does not fit, or holds NaN or infinity; the message names the
            weights.
    """
    Checkpoint.open(source).load_into(module)
