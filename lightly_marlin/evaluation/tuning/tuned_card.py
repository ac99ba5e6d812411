"""Model card of a fine-tuned model, from what its run measured."""

from __future__ import annotations

import math

from lightly_marlin.evaluation.results.result import Result
from lightly_marlin.models.config import MarlinConfig, name_of_config
from lightly_marlin.models.weights.model_card import known_biases

__all__ = ["tuned_card"]

_USE = """
```sh
python recipes/predict.py VIDEOS OUT --model {source}
```

```python
from lightly_marlin.evaluation import TunedModel

model = TunedModel.from_pretrained("{source}")
outputs = model(clips)  # (B, {K}) of clips (B, 3, {T}, {S}, {S}), uint8
scores = model.target.scores(outputs)
```

As `--weights`, the folder gives its encoder, without the head.
"""


def tuned_card(
    result: Result,
    config: MarlinConfig,
    *,
    source: str,
    weights: str | None = None,
) -> str:
    """Writes the card of a fine-tuned model.

    Args:
        result: Test of the model.
        config: Sizes of its encoder.
        source: Place of the model: a folder or repository.
        weights: Weights that the training started from; None for random ones.

    Returns:
        Markdown with the Hub's metadata in front.
    """
    name = name_of_config(config, any_clips=True) or "MARLIN encoder"
    target = result.target
    use = _USE.strip().format(
        source=source,
        K=target.num_outputs,
        T=config.num_frames,
        S=config.img_size,
    )
    start = (
        "random weights" if weights is None else f"the weights {weights}, whose licence"
    )
    parts = [
        _metadata(),
        f"# {name}, fine-tuned to predict {result.task}",
        f"Kind: {target.kind}. Labels: {', '.join(target.names)}.",
        f"## Use\n\n{use}",
        f"## Data\n\n{_data(result)}",
        f"## Test\n\n{_metrics(result)}",
        "## Licence of the weights\n\nNot chosen yet. The training started from "
        f"{start}{'' if weights is None else ' binds these, too'}; the terms of the "
        "labels and videos may add to it. MARLIN's released weights are CC BY-NC 4.0.",
        known_biases(),
    ]
    return "\n\n".join(parts) + "\n"


def _metadata() -> str:
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        license="other",
        library_name="lightly_marlin",
        pipeline_tag="video-classification",
        tags=["marlin", "face", "fine-tuned"],
    )
    return f"---\n{str(data.to_yaml()).strip()}\n---"


def _data(result: Result) -> str:
    lines = [
        "| split | items | without a face | failed | missing |",
        "|---|---|---|---|---|",
    ]
    for split, counts in result.data["per_split"].items():
        numbers = [counts[key] for key in ("items", "no_face", "failed", "missing")]
        lines.append(f"| {split} | {' | '.join(map(str, numbers))} |")
    shared = result.data["groups_shared"]
    lines += ["", f"Groups in more than one split: {shared}."]
    return "\n".join(lines)


def _metrics(result: Result) -> str:
    lines = [
        "Scores of an item are means over its windows. The constant predictor knows "
        "the training labels alone; the interval is a 95 % bootstrap over groups.",
        "",
        "| metric | value | interval | constant predictor |",
        "|---|---|---|---|",
    ]
    for name, value in result.metrics.items():
        low, high = result.interval.get(name, (math.nan, math.nan))
        span = "–" if math.isnan(low) else f"{low:.3f} to {high:.3f}"
        constant = result.constant[name]
        lines.append(f"| {name} | {_number(value)} | {span} | {_number(constant)} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}"
