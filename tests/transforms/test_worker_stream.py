"""Explicit generators of transforms in the workers of a DataLoader."""

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from lightly_marlin.transforms import (
    MaskMixture,
    RandomTubeletMask,
    RunningCellMask,
)


class Clips(Dataset):
    """Eight equal samples, each through the same transforms."""

    def __init__(self, *transforms):
        self.transforms = transforms

    def __len__(self):
        return 8

    def __getitem__(self, index):
        sample = {"video": torch.zeros(3, 4, 64, 64)}
        for transform in self.transforms:
            sample = transform(sample)
        return {"keep": sample["idx_keep"], "mask": sample["idx_mask"]}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def loader(*transforms, workers=2, **options):
    if workers:
        options["multiprocessing_context"] = "fork"
    return DataLoader(Clips(*transforms), num_workers=workers, **options)


def epoch(batches):
    return [tuple(batch["mask"][0].tolist()) for batch in batches]


def test_worker_stream__workers_draw_different_masks():
    masks = epoch(loader(RandomTubeletMask(0.75, generator=seeded())))
    assert len(set(masks)) == 8


@pytest.mark.parametrize("persistent", [False, True])
def test_worker_stream__epochs_differ_and_repeat_with_the_seed(persistent):
    """Nothing but the generator's seed counts, whatever torch's own seed is."""
    runs = []
    for seed in (0, 0, 1):
        transform = RandomTubeletMask(0.75, generator=seeded(seed))
        batches = loader(transform, persistent_workers=persistent)
        runs.append([epoch(batches) for _ in range(3)])
    assert runs[0] == runs[1]
    assert len({mask for run in (runs[0], runs[2]) for e in run for mask in e}) == 48


def test_worker_stream__one_process_draws_from_the_generator_itself():
    transform = RandomTubeletMask(0.75, generator=seeded())
    masks = epoch(loader(transform, workers=0))
    generator, clips = seeded(), Clips(RandomTubeletMask(0.75))
    clips.transforms[0].generator = generator
    assert masks == [tuple(clips[i]["mask"].tolist()) for i in range(8)]


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_worker_stream__transforms_share_a_generator_in_workers_too(context):
    """Were it two streams of one seed, the second mask would repeat the first."""
    generator = seeded()
    mask = RandomTubeletMask(0.5, generator=generator)
    samples = Clips(mask, Remembering(RandomTubeletMask(0.5, generator=generator)))
    batches = DataLoader(samples, num_workers=1, multiprocessing_context=context)
    for batch in batches:
        assert batch["keep"].tolist() != batch["mask"].tolist()


class Remembering:
    """A second mask, beside the first: idx_keep becomes the mask before."""

    def __init__(self, transform):
        self.transform = transform

    def __call__(self, sample):
        before = sample["idx_mask"]
        return {**self.transform(sample), "idx_keep": before}


@pytest.mark.parametrize("kind", ["mixture", "running cell"])
def test_worker_stream__other_transforms(kind):
    """A choice among strategies, and of what is decoded, differ between workers too."""
    if kind == "mixture":
        fixed = [Fixed([0]), Fixed([1])]
        transforms = [MaskMixture(fixed, (0.5, 0.5), generator=seeded())]
    else:
        transforms = [Fixed(range(32)), RunningCellMask(0.25, generator=seeded())]
    batches = [loader(*transforms, batch_size=1) for _ in range(4)]
    masks = [mask for each in batches for mask in epoch(each)]
    assert masks[::2] != masks[1::2]


class Fixed:
    """A mask that is always the same."""

    def __init__(self, tokens):
        self.tokens = torch.tensor(tokens)

    def __call__(self, sample):
        return {**sample, "idx_keep": self.tokens, "idx_mask": self.tokens}
