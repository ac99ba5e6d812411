"""Models saved as folders and as repositories of the Hugging Face Hub."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import save_file
from torch import Tensor

from lightly_marlin.models.config import MarlinConfig, name_of_config
from lightly_marlin.models.cpu import accelerate_cpu
from lightly_marlin.models.weights.checkpoint import Checkpoint
from lightly_marlin.models.weights.config_file import CONFIG_NAME, read_config
from lightly_marlin.models.weights.model_card import ModelCard
from lightly_marlin.models.weights.source import WEIGHTS_NAME, split_prefix
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, write_json

__all__ = ["PretrainedMixin"]

_Model = TypeVar("_Model", bound="PretrainedMixin")


class PretrainedMixin:
    """Saving to and loading from folders and Hub repositories, as a mix-in.

    The model has a `config` and a `state_prefix`. A folder holds `model.safetensors`,
    `config.json` and, if one was given, the model card `README.md`. The weights of an
    encoder are named as in a whole model.
    """

    config: MarlinConfig
    state_prefix: str

    def save_pretrained(
        self, directory: str | Path, *, card: ModelCard | None = None
    ) -> None:
        """Writes weights and configuration, each file atomically.

        Args:
            directory: The folder to write to; created if it does not exist.
            card: Model card to write; none if left out.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        state: dict[str, Tensor] = self.state_dict()  # type: ignore[attr-defined]
        tensors = {
            self.state_prefix + name: tensor.contiguous()
            for name, tensor in state.items()
        }
        with atomic_write(directory / WEIGHTS_NAME) as temporary:
            save_file(tensors, temporary, metadata={"format": "pt"})
        write_json(directory / CONFIG_NAME, self.config.to_dict())
        if card is not None:
            _write_card(directory, card, self.config, directory.name)

    @classmethod
    def from_pretrained(cls: type[_Model], source: str | Path) -> _Model:
        """Loads a model that `save_pretrained` or `push_to_hub` wrote.

        Args:
            source: A folder, or the id of a repository on the Hugging Face Hub. An
                encoder can also be loaded from a whole model.

        Returns:
            The model, in evaluation mode, accelerated on CPUs.

        Raises:
            UsageError: A ValueError, if `source` does not exist, cannot be read or
                lacks weights of the model.
        """
        checkpoint = Checkpoint.open(source, read_config(split_prefix(source)[0]))
        model: Any = cls(checkpoint.architecture())  # type: ignore[call-arg]
        checkpoint.load_into(model)
        evaluated: _Model = accelerate_cpu(model).eval()
        return evaluated

    def push_to_hub(
        self,
        repository: str,
        *,
        card: ModelCard,
        private: bool | None = None,
        token: str | None = None,
        commit_message: str = "Add weights, configuration and model card",
    ) -> str:
        """Publishes the model on the Hugging Face Hub. Needs the network.

        Args:
            repository: Id as in "owner/name"; created if it does not exist.
            card: Model card; nothing is published without it.
            private: Make a new repository private; None for the owner's default.
            token: Access token; None for that of the last `hf auth login`.
            commit_message: Title of the commit.

        Returns:
            Address of the commit.

        Raises:
            UsageError: A ValueError, if the Hub cannot be reached or rejects the model.
        """
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HFValidationError

        api = HfApi(token=token)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            _write_card(Path(folder), card, self.config, repository)
            try:
                api.create_repo(repository, private=private, exist_ok=True)
                commit = api.upload_folder(
                    repo_id=repository,
                    folder_path=folder,
                    commit_message=commit_message,
                )
            except (OSError, HFValidationError) as error:
                raise UsageError(
                    f"The model could not be published as {repository}: {error}"
                ) from error
        return str(commit.commit_url)


def _write_card(
    directory: Path, card: ModelCard, config: MarlinConfig, source: str
) -> None:
    text = card.render(config, source, name=name_of_config(config))
    with atomic_write(directory / "README.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
