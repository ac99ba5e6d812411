import torch

from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.results.result import Predictions, Result
from lightly_marlin.evaluation.tuning.tuned_card import tuned_card
from lightly_marlin.models.config import named_config

COUNTS = {"items": 4, "no_face": 1, "failed": 0, "missing": 2}
RESULT = Result(
    task="moods",
    target=Target("binary", ("happy",)),
    protocol={},
    data={"per_split": {"train": COUNTS, "test": COUNTS}, "groups_shared": 3},
    model={},
    seed=0,
    metrics={"auc/flat": 0.8125, "eer": float("nan")},
    interval={"auc/flat": (0.7, 0.9), "eer": (float("nan"), float("nan"))},
    constant={"auc/flat": 0.5, "eer": float("nan")},
    predictions=Predictions((), (), (), *[torch.zeros(0, 1)] * 4),
)


def test_tuned_card__says_what_was_measured():
    config = named_config("marlin_vit_small")
    card = tuned_card(RESULT, config, source="me/moods", weights="marlin.pt")
    for text in (
        "# marlin_vit_small, fine-tuned to predict moods",
        "Kind: binary. Labels: happy.",
        "--model me/moods",
        "(B, 1) of clips (B, 3, 16, 224, 224)",
        "| train | 4 | 1 | 0 | 2 |",
        "Groups in more than one split: 3.",
        "| auc/flat | 0.812 | 0.700 to 0.900 | 0.500 |",
        "| eer | undefined | – | undefined |",
        "started from the weights marlin.pt, whose licence binds these, too;",
        "## Known biases",
    ):
        assert text in card
    assert card.startswith("---\n")


def test_tuned_card__random_weights():
    card = tuned_card(RESULT, named_config("marlin_vit_tiny"), source="x")
    assert "started from random weights; the terms" in card
