from dataclasses import replace

import pytest
import torch

from lightly_marlin.evaluation.items.item_clips import ItemWindows
from lightly_marlin.evaluation.items.item_places import find_places
from lightly_marlin.evaluation.labels.splits import Fold
from lightly_marlin.evaluation.metrics.metrics import metrics_for
from lightly_marlin.evaluation.results.result import Result
from lightly_marlin.evaluation.tuning.finetune_result import score_windows, tuned_result
from lightly_marlin.evaluation.tuning.tuned_model import TunedModel
from lightly_marlin.models import MarlinConfig, MarlinEncoder

FOLD = Fold([0, 1, 2, 4], [5], [6, 7, 8, 9, 10, 11])


@pytest.fixture(scope="module")
def model(colored_table):
    torch.manual_seed(0)
    config = MarlinConfig(
        img_size=32, encoder_dim=24, encoder_depth=1, encoder_num_heads=2
    )
    model = TunedModel(MarlinEncoder(config), colored_table.target, sample_rate=1)
    torch.nn.init.normal_(model.head.weight)
    return model.eval()


@pytest.fixture(scope="module")
def places(colored_table, colored_store):
    """Items 9 and 10 are lost in two ways."""
    found = find_places(colored_table, colored_store)
    lost = {9: ("no_face", "dark"), 10: ("missing", "gone")}
    return replace(
        found,
        places=tuple(None if i in lost else p for i, p in enumerate(found.places)),
        statuses=tuple(lost.get(i, ("ok",))[0] for i in range(12)),
        reasons=tuple(lost.get(i, (0, None))[1] for i in range(12)),
    )


@pytest.fixture(scope="module")
def result(model, colored_table, colored_store, places):
    return tuned_result(
        model, colored_table, colored_store, FOLD, places, seed=3, batch_size=3
    )


def test_tuned_result__scores_are_means_over_all_windows(
    result, model, colored_table, colored_store, places
):
    windows = ItemWindows(
        colored_table, colored_store, [7], places=places, num_frames=16, stride=1
    )
    # 40 frames: windows at 0, 16 and 24.
    assert len(windows) == 3
    clips = torch.stack([windows[index]["video"] for index in range(3)])
    mean = model(clips).sigmoid().mean(0)
    place = result.predictions.items.index("v07")
    torch.testing.assert_close(result.predictions.scores[place], mean)
    assert result.predictions.windows[place] == 3


def test_tuned_result__lost_items(result):
    """Without a face: the constant of training; without a video: left out."""
    predictions = result.predictions
    assert predictions.items == ("v06", "v07", "v08", "v09", "v11")
    assert predictions.windows.tolist() == [3, 3, 3, 0, 3]
    assert predictions.scores[3].tolist() == [0.25]
    assert predictions.constant.unique().tolist() == [0.25]
    assert (result.data["no_face"], result.data["missing"]) == (1, 1)
    assert result.data["per_split"]["test"]["items"] == 5
    assert result.data["per_split"]["train"]["windows"] == 12


def test_tuned_result__numbers_follow_from_the_predictions(result, tmp_path):
    predictions = result.predictions
    metrics = metrics_for(result.target)
    assert result.metrics == metrics(predictions.scores, predictions.truth)
    assert result.constant == metrics(predictions.constant, predictions.truth)
    seen = predictions.windows > 0
    assert result.metrics_with_face == metrics(
        predictions.scores[seen], predictions.truth[seen]
    )
    assert result.model["name"] == "MarlinEncoder"
    result.save(tmp_path)
    assert Result.load(tmp_path).metrics["eer"] == result.metrics["eer"]


def test_score_windows__nothing_to_score(model, colored_table, colored_store, places):
    windows = ItemWindows(colored_table, colored_store, [9], places=places)
    assert score_windows(model, windows).shape == (0, 1)


def test_score_windows__bf16_is_close(model, colored_table, colored_store, places):
    windows = ItemWindows(colored_table, colored_store, [7], places=places)
    exact = score_windows(model, windows)
    coarse = score_windows(model, windows, bf16=True)
    assert 0 < (exact - coarse).abs().max() < 0.05
