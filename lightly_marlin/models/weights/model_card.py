"""Model card of published weights: data, licence, known biases and use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lightly_marlin.models.config import MarlinConfig
from lightly_marlin.utils.errors import UsageError

__all__ = ["ModelCard", "known_biases"]

_FACES = """
Training clips are crops around faces that were found and tracked with dlib's \
detectors. They miss faces in profile, in the dark, behind hands and masks, and of \
people who are rare in their training data, dark-skinned people and children among \
them. The model has not seen the faces that the detector misses, so features of such \
faces are worse than those of others; by how much was not measured. Facial regions, \
where they guided the masks, come from landmarks: hair and forehead are estimated.
"""
_DATA = """
A face model only knows the faces in its training data. It performs worse for people \
who are rare there by age, skin, gender, language, disability, pose, light or camera. \
Check the results on the people you intend to use it for, group by group. Features of \
faces are biometric data in many jurisdictions: they may identify people, and using \
them without consent may be unlawful. The model does not reveal what a person feels, \
intends or is.
"""
_USE = """
```python
import torch
from lightly_marlin.models import create_marlin_encoder

encoder = create_marlin_encoder({name}weights="{source}")
clips = torch.randint(0, 256, (2, 3, {T}, {S}, {S}), dtype=torch.uint8)
features = encoder(clips)  # (2, {D})
```
"""


@dataclass(frozen=True)
class ModelCard:
    """Facts about weights that only their publisher knows.

    Attributes:
        data: Training data, and the terms under which it was used.
        license: Licence of the weights as the Hub abbreviates it, such as "mit" or
            "cc-by-nc-4.0". Weights that were initialised from others are bound by the
            licence of those: MARLIN's released weights are CC BY-NC 4.0.
        datasets: Ids of data sets on the Hub, for the metadata.
        training: Training procedure in a sentence or two.
        figures: Measured values by the name of the measure.
    """

    data: str
    license: str
    datasets: tuple[str, ...] = ()
    training: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Rejects a card without data or licence.

        Raises:
            UsageError: If data or licence is empty.
        """
        for name in ("data", "license"):
            if not getattr(self, name).strip():
                raise UsageError(
                    f"Invalid {name} of a model card (''): say what the weights were "
                    "trained on, and under which licence they are."
                )

    def render(self, config: MarlinConfig, source: str, *, name: str = "") -> str:
        """Writes the card.

        Args:
            config: Sizes of the model.
            source: Place of the weights: a repository id or a folder.
            name: Name of the model of these sizes; None if it has none.

        Returns:
            Markdown with the Hub's metadata in front.
        """
        sizes = ", ".join(f"{k} {v}" for k, v in config.to_dict().items())
        use = _USE.strip().format(
            name=f'"{name}", ' if name else "",
            source=source,
            T=config.num_frames,
            S=config.img_size,
            D=config.encoder_dim,
        )
        figures = [f"| {key} | {value:.4g} |" for key, value in self.figures.items()]
        parts = [
            f"---\n{self._metadata()}\n---",
            f"# {name or 'MARLIN'}, a masked autoencoder for face videos",
            "Trained with [MARLIN](https://arxiv.org/abs/2211.06627)'s objective by "
            f"`lightly_marlin`. {self.training}".strip(),
            f"## Use\n\n{use}",
            f"## Data\n\n{self.data.strip()}",
            f"## Licence of the weights\n\n{self.license}",
            known_biases(),
            "## Figures\n\n"
            + (
                "\n".join(["| what | value |", "|---|---|", *figures])
                if figures
                else "None have been measured."
            ),
            f"## Sizes\n\n{sizes}",
        ]
        return "\n\n".join(parts) + "\n"

    def _metadata(self) -> str:
        from huggingface_hub import ModelCardData

        data = ModelCardData(
            license=self.license,
            library_name="lightly_marlin",
            pipeline_tag="video-classification",
            tags=["marlin", "masked-autoencoder", "face", "self-supervised-learning"],
            datasets=list(self.datasets) or None,
        )
        return str(data.to_yaml()).strip()


def known_biases() -> str:
    """Returns the section of a card on biases, which all models of faces share."""
    return (
        f"## Known biases\n\n### Face detector\n\n{_FACES.strip()}\n\n"
        f"### Data\n\n{_DATA.strip()}"
    )
