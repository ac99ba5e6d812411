"""Model card of published weights: what they are and what to beware of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lightly_marlin.models.config import MarlinConfig
from lightly_marlin.utils.errors import UsageError

__all__ = ["ModelCard"]

_FACES = """
Training clips are crops around faces that dlib's detectors found and followed. They \
miss faces in profile, in the dark, behind hands and masks, and of people who are rare \
in their training data, dark-skinned people and children among them. What the detector \
misses, the model has not seen, so features of such faces are worse than those of \
others, and by how much is not measured. Facial regions, where masks followed them, \
come from landmarks: hair and forehead are estimated.
"""
_DATA = """
A model of faces knows the faces in its data. Whoever is rare there by age, skin, \
gender, language, disability, pose, light or camera is served worse. Check the results \
on the people you mean to use it for, group by group. Features of faces are biometric \
data in many jurisdictions: they may tell people apart, and using them without consent \
may be unlawful. The model does not tell what a person feels, intends or is.
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
    """What only the publisher of weights can say about them.

    Attributes:
        data: What the weights were trained on, and under which terms it was used.
        license: Licence of the weights as the Hub abbreviates it, such as "mit" or
            "cc-by-nc-4.0". Weights that were initialised from others are bound by
            theirs: the released ones of MARLIN are CC BY-NC 4.0.
        datasets: Ids of data sets on the Hub, for the metadata.
        training: How they were trained, in a sentence or two.
        figures: Measured numbers by what was measured.
    """

    data: str
    license: str
    datasets: tuple[str, ...] = ()
    training: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses a card that leaves out what users need most.

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
            source: Where the weights will be found: a repository id or a folder.
            name: Named model of that size, if there is one.

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
            f"## Known biases\n\n### Face detector\n\n{_FACES.strip()}\n\n"
            f"### Data\n\n{_DATA.strip()}",
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
