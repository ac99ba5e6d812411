"""Metrics of CMU-MOSEI that papers report under one name but compute differently.

Each rule has a name of its own. Items with an empty label are left out.

Sentiment, of values s and truth t in [-3, 3]:

- `acc7/sdk_bins`: both in the seven bins of the SDK [0], see `sentiment_bins`. Only an
  exact 0 is neutral, so a regression hardly ever predicts it.
- `acc7/rounded`: both cut to [-3, 3] and rounded [1].
- `acc5/rounded`: both cut to [-2, 2] and rounded [1].
- `acc2/nonnegative`, `f1/nonnegative`: t >= 0 against s >= 0 (papers before 2019 [0]).
- `acc2/positive`, `f1/positive`: t > 0 against s > 0, items with t = 0 left out [0].
- `acc2/nonpositive`: t > 0 against s > 0, zeros among the negatives ([1], `has0`).

F1 is that of both classes, weighted by their share of the truth [2].

Emotion, of six probabilities; an emotion is predicted above 0.5. Per emotion and as
means over the emotions that are both present and absent in the truth:

- `emotion/accuracy`: share of right answers.
- `emotion/weighted_accuracy`: (TP * N / P + TN) / 2N, which is the mean of both recalls
  [1], with P items that have the emotion and N that have not.
- `emotion/f1`: F1 of its presence; `emotion/f1_weighted`: of both classes, as above.
- `emotion/auc`: area under the ROC curve.
- `emotion/counted`: number of emotions in the means.

An emotion without both classes has NaN. Emotions have their name appended, such as
`emotion/auc/fear`.

- [0]: https://github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK, CMU_MOSEI/README.md
- [1]: https://github.com/yaohungt/Multimodal-Transformer, src/eval_metrics.py
- [2]: https://github.com/thuiar/MMSA, utils/metricsTop.py
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from lightly_marlin.evaluation.metrics.label_metrics import flat_auc

__all__ = [
    "EMOTIONS",
    "METRIC_SETS",
    "emotion_metrics",
    "sentiment_bins",
    "sentiment_metrics",
]

EMOTIONS = ("happy", "sad", "anger", "surprise", "disgust", "fear")
"""Emotions in the order of the labels."""


def sentiment_bins(values: Tensor) -> Tensor:
    """Returns the class of sentiments by the bins of the SDK [0].

    Args:
        values: Floating-point tensor of any shape.

    Returns:
        Tensor of the same shape and dtype: whole numbers in [-3, 3]. The class is the
        value rounded away from 0, but -2 and 2 themselves stay, and so do -1 and 1:
        (0, 1] is 1, (1, 2] is 2, above 2 is 3; [-1, 0) is -1, [-2, -1) is -2, below -2
        is -3. NaN stays.
    """
    return (values.sign() * values.abs().ceil()).clamp(-3, 3)


def sentiment_metrics(scores: Tensor, truth: Tensor) -> dict[str, float]:
    """Returns the metrics of sentiment.

    Args:
        scores: Floating-point tensor (n, 1): predicted values.
        truth: Floating-point tensor (n, 1) in [-3, 3]; NaN where empty.

    Returns:
        Values in [0, 1] by name, see the module; NaN where no item is left.
    """
    known = ~truth[:, 0].isnan()
    s, t = scores[known, 0].double(), truth[known, 0].double()
    nonzero = t != 0
    return {
        "acc7/sdk_bins": _share(sentiment_bins(s) == sentiment_bins(t)),
        "acc7/rounded": _share(s.clamp(-3, 3).round() == t.clamp(-3, 3).round()),
        "acc5/rounded": _share(s.clamp(-2, 2).round() == t.clamp(-2, 2).round()),
        "acc2/nonnegative": _share((s >= 0) == (t >= 0)),
        "f1/nonnegative": _weighted_f1(s >= 0, t >= 0),
        "acc2/positive": _share(((s > 0) == (t > 0))[nonzero]),
        "f1/positive": _weighted_f1((s > 0)[nonzero], (t > 0)[nonzero]),
        "acc2/nonpositive": _share((s > 0) == (t > 0)),
    }


def emotion_metrics(scores: Tensor, truth: Tensor) -> dict[str, float]:
    """Returns the metrics of six emotions.

    Args:
        scores: Floating-point tensor (n, 6): probabilities.
        truth: Floating-point tensor (n, 6): 0 or 1; NaN where empty.

    Returns:
        Values in [0, 1], and a number of emotions, by name; see the module.
    """
    each = [
        _one_emotion(scores[:, column], truth[:, column])
        for column in range(len(EMOTIONS))
    ]
    counted = [values for values in each if not math.isnan(values["auc"])]
    result = {
        f"emotion/{name}": (
            sum(values[name] for values in counted) / len(counted)
            if counted
            else float("nan")
        )
        for name in each[0]
    }
    result["emotion/counted"] = float(len(counted))
    for emotion, values in zip(EMOTIONS, each, strict=True):
        result |= {f"emotion/{name}/{emotion}": value for name, value in values.items()}
    return result


def _one_emotion(scores: Tensor, truth: Tensor) -> dict[str, float]:
    known = ~truth.isnan()
    s, t = scores[known], truth[known] > 0
    names = ("accuracy", "weighted_accuracy", "f1", "f1_weighted", "auc")
    if t.all() or not t.any():
        return dict.fromkeys(names, float("nan"))
    said = s > 0.5
    values = (
        _share(said == t),
        (_share(said[t]) + _share(~said[~t])) / 2,
        _f1(said, t),
        _weighted_f1(said, t),
        flat_auc(scores, truth),
    )
    return dict(zip(names, values, strict=True))


def _share(right: Tensor) -> float:
    """Returns the mean of a bool tensor; NaN of an empty one."""
    return float(right.double().mean())


def _f1(said: Tensor, true: Tensor) -> float:
    """Returns 2 TP / (2 TP + FP + FN); 0 where nothing is said or true."""
    hits = int((said & true).sum())
    return 2 * hits / max(1, int(said.sum()) + int(true.sum()))


def _weighted_f1(said: Tensor, true: Tensor) -> float:
    if not len(true):
        return float("nan")
    share = _share(true)
    return share * _f1(said, true) + (1 - share) * _f1(~said, ~true)


METRIC_SETS: dict[str, Callable[[Tensor, Tensor], dict[str, float]]] = {
    "mosei_sentiment": sentiment_metrics,
    "mosei_emotion": emotion_metrics,
}
"""Sets of metrics that tasks add to those of their target."""
