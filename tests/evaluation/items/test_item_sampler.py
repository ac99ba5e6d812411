import pytest
import torch

from lightly_marlin.evaluation.items.item_sampler import ItemSampler, balanced_weights
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.utils.errors import UsageError


def epochs(sampler, count):
    pairs = []
    for epoch in range(count):
        sampler.set_epoch(epoch)
        pairs.append(list(sampler))
    return pairs


def flat(parts):
    return [pair for part in parts for pair in part]


def test_item_sampler__permutations_follow_one_another():
    pairs = flat(epochs(ItemSampler(5, 4), 5))
    for draw in range(4):
        assert {pair for pair in pairs if pair[1] == draw} == {
            (index, draw) for index in range(5)
        }
    assert len(set(pairs)) == len(pairs)


def test_item_sampler__an_epoch_depends_on_its_number_alone():
    first, _, third = epochs(ItemSampler(9, 6, seed=2), 3)
    resumed = ItemSampler(9, 6, seed=2)
    resumed.set_epoch(2)
    assert list(resumed) == third
    assert first != third
    assert epochs(ItemSampler(9, 6, seed=3), 1) != [first]


@pytest.mark.parametrize("weights", [None, torch.ones(7, dtype=torch.float64)])
def test_item_sampler__processes_share_an_epoch(weights):
    alone = epochs(ItemSampler(7, 8, weights=weights), 3)
    for epoch, pairs in enumerate(alone):
        parts = []
        for rank in range(2):
            part = ItemSampler(7, 4, weights=weights, rank=rank, world_size=2)
            part.set_epoch(epoch)
            parts.append(list(part))
        assert parts[0] == pairs[::2]
        assert parts[1] == pairs[1::2]


def test_item_sampler__weights():
    weights = torch.tensor([1.0, 0, 3])
    pairs = flat(epochs(ItemSampler(3, 1000, weights=weights), 4))
    counts = [sum(index == item for index, _ in pairs) for item in range(3)]
    assert counts[1] == 0
    assert 0.22 < counts[0] / len(pairs) < 0.28
    # Every repetition of an item is another draw, so that its clip is another one.
    assert len({draw for _, draw in pairs}) == len(pairs)


def test_item_sampler__weights_of_other_items():
    with pytest.raises(ValueError, match="Invalid weights of 2 items: there are 3"):
        ItemSampler(3, 1, weights=torch.ones(2))


def test_balanced_weights__classes_alike():
    labels = torch.tensor([0, 0, 0, 1, torch.nan])[:, None]
    weights = balanced_weights(Target("binary", ("fake",)), labels)
    torch.testing.assert_close(
        weights, torch.tensor([1 / 6, 1 / 6, 1 / 6, 1 / 2, 0], dtype=torch.float64)
    )


def test_balanced_weights__absent_class():
    labels = torch.tensor([2.0, 0, 2, 2])[:, None]
    weights = balanced_weights(Target("multiclass", ("a", "b", "c")), labels)
    assert weights[[0, 2, 3]].sum() == pytest.approx(0.5)
    assert weights[1] == pytest.approx(0.5)


def test_balanced_weights__target_without_classes():
    with pytest.raises(UsageError, match="this one is regression"):
        balanced_weights(Target("regression", ("x",)), torch.zeros(2, 1))


def test_balanced_weights__no_labels():
    with pytest.raises(UsageError, match="None of the items to train on has a label"):
        balanced_weights(Target("binary", ("x",)), torch.full((2, 1), torch.nan))
