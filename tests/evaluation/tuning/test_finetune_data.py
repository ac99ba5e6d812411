import pytest
import torch

from lightly_marlin.evaluation.items.item_places import ItemPlaces, find_places
from lightly_marlin.evaluation.labels.splits import Fold
from lightly_marlin.evaluation.tuning.finetune_data import FinetuneData
from lightly_marlin.utils.errors import UsageError

FOLD = Fold(list(range(7)), [7, 8, 9], [10, 11])


@pytest.fixture(scope="module")
def make(colored_store, colored_table):
    places = find_places(colored_table, colored_store)

    def make_data(fold=FOLD, places=places, **options):
        options = {"batch_size": 2, "num_frames": 8, **options}
        return FinetuneData(colored_table, colored_store, fold, places, **options)

    return make_data


class Trainer:
    """The place of a process among others."""

    def __init__(self, rank, world_size):
        self.global_rank, self.world_size = rank, world_size


def test_finetune_data__training_batches_are_full(make):
    data = make()
    batches = list(data.train_dataloader())
    assert len(batches) == data.steps_per_epoch() == 3
    assert all(batch["video"].shape == (2, 3, 8, 224, 224) for batch in batches)


def test_finetune_data__fewer_clips_than_a_batch(make):
    data = make(batch_size=16)
    (batch,) = data.train_dataloader()
    assert len(batch["video"]) == 16
    assert set(batch["item"].tolist()) == set(range(7))


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_finetune_data__processes_share_the_windows(make, world_size):
    """Equally many for each, as collective operations want it, and every one once."""
    data = make(batch_size=3)
    seen = []
    for rank in range(world_size):
        data.trainer = Trainer(rank, world_size)
        val, train = data.val_dataloader()
        seen.append([i for batch in val for i in batch["index"].tolist()])
        assert {i for batch in train for i in batch["item"].tolist()} <= set(range(7))
    assert len({len(part) for part in seen}) == 1
    every = sorted({index for part in seen for index in part})
    assert every == list(range(len(data.val_windows)))
    assert sum(map(len, seen)) < len(every) + world_size


def test_finetune_data__up_to_four_windows_of_an_item(make):
    data = make(num_frames=2)
    windows = data.val_windows.item_of_window()
    assert windows == [7] * 4 + [8] * 4 + [9] * 4


def test_finetune_data__some_training_items_are_enough(make, monkeypatch):
    monkeypatch.setattr(
        "lightly_marlin.evaluation.tuning.finetune_data._LEAST_TRAIN_ITEMS", 2
    )
    items = make().train_windows.items
    assert len(items) == 3
    assert items == sorted(items)
    assert items == make().train_windows.items


def test_finetune_data__balanced(make):
    fold = Fold([0, 2, 4, 6, 1], [7], [])
    data = make(fold, balanced=True, batch_size=50)
    torch.testing.assert_close(
        data.weights, torch.tensor([1 / 8] * 4 + [1 / 2], dtype=torch.float64)
    )
    sampler = data.train_dataloader().sampler
    share = sum(index == 4 for index, _ in sampler) / len(sampler)
    assert 0.3 < share < 0.7


@pytest.mark.parametrize(("part", "word"), [("train", "train"), ("val", "validate")])
def test_finetune_data__no_faces(make, part, word):
    places = ItemPlaces((None,) * 12, ("no_face",) * 12, ("it is dark",) * 12)
    message = f"None of the .* items to {word} on has a face"
    if part == "val":
        found = make().clips.places
        places = ItemPlaces(
            (*found.places[:7], *[None] * 5),
            (*found.statuses[:7], *["no_face"] * 5),
            (*found.reasons[:7], *["it is dark"] * 5),
        )
    with pytest.raises(UsageError, match=message + r".*'v0\d': it is dark"):
        make(places=places)


@pytest.mark.parametrize(("part", "word"), [("train", "train"), ("val", "validate")])
def test_finetune_data__no_items(make, part, word):
    with pytest.raises(UsageError, match=f"There are no items to {word} on in "):
        make(fold=FOLD._replace(**{part: []}))
