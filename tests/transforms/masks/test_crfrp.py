"""CRFR-P against a slow transcription of its rules, one token at a time."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.regions import RegionCells
from lightly_marlin.transforms import (
    Crfrp,
    MaskInputs,
    crfrp_token_mask,
    random_tubelet_mask,
)


def part(*labels):
    """Whether a token, a set of labels, holds one of these."""
    return lambda token: bool(token & set(labels))


def boundary(token):
    """The face boundary: skin beside hair or background."""
    return 1 in token and bool(token & {0, 10})


COVERED = [part(2, 3), part(4, 5), part(6), part(7, 8, 9), boundary, part(10)]
ORDER = [*COVERED, part(1), part(0), part(-1)]


def token_labels(clip, patch=16, tubelet=2):
    """The set of labels of each token of a clip (T, H, W), tubelet by tubelet."""
    rows, columns = clip.shape[1] // patch, clip.shape[2] // patch
    tokens = []
    for frame in clip[::tubelet]:
        for r in range(rows):
            for c in range(columns):
                square = frame[r * patch : (r + 1) * patch, c * patch : (c + 1) * patch]
                tokens.append(set(square.flatten().tolist()))
    return tokens


def present_regions(tokens):
    return [region for region in COVERED if any(region(token) for token in tokens)]


def nowhere(_):
    """The region that is covered where no facial region occurs."""
    return False


def transcribed_probabilities(clip, mask_ratio):
    """P(visible) of every token: over the regions that may be covered."""
    tokens = token_labels(clip)
    kept = int(len(tokens) * (1 - mask_ratio))
    probabilities = torch.zeros(len(tokens), dtype=torch.float64)
    regions = present_regions(tokens) or [nowhere]
    for region in regions:
        covered = [region(token) for token in tokens]
        free = covered.count(False)
        for index, hidden in enumerate(covered):
            if not hidden:
                probabilities[index] += min(1, kept / free) / len(regions)
            elif kept > free:
                share = (kept - free) / covered.count(True)
                probabilities[index] += share / len(regions)
    return probabilities


def assert_a_draw_obeys(tokens, visible, kept):
    """Some region is covered, and every other keeps its share in every tubelet."""
    per_tubelet = 16
    for region in present_regions(tokens) or [nowhere]:
        covered = {i for i, token in enumerate(tokens) if region(token)}
        if covered & visible:
            continue
        share = kept / (len(tokens) - len(covered))
        strata = {}
        for index, token in enumerate(tokens):
            if index not in covered:
                first = next(n for n, group in enumerate(ORDER) if group(token))
                strata.setdefault((index // per_tubelet, first), set()).add(index)
        counts = [(len(s & visible), share * len(s)) for s in strata.values()]
        if all(math.floor(e - 1e-9) <= n <= math.ceil(e + 1e-9) for n, e in counts):
            return
    raise AssertionError(f"no region explains {sorted(visible)}")


def face_map():
    labels = torch.zeros(4, 64, 64, dtype=torch.int64)
    labels[:, 8:56, 8:56] = 1
    labels[:, :16, 8:56] = 10
    labels[:, 20:24, 16:28] = 2
    labels[:, 20:24, 36:48] = 3
    labels[:2, 24:30, 16:28] = 4
    labels[:, 32:44, 28:36] = 6
    labels[2:, 46:52, 24:40] = 8
    return labels


def cases():
    face = face_map()
    half = face.clone()
    half[2:] = -1
    return {
        "face": face,
        "second half without a face": half,
        "no face": torch.full_like(face, -1),
        "skin only": torch.ones_like(face),
        "hair everywhere": torch.full_like(face, 10),
    }


@pytest.mark.parametrize("mask_ratio", [0.9, 0.5, 0.2])
@pytest.mark.parametrize("case", cases())
def test_crfrp_token_mask__distribution(case, mask_ratio):
    labels = cases()[case]
    draws = 4000
    kept, _ = crfrp_token_mask(
        labels.expand(draws, -1, -1, -1),
        mask_ratio,
        generator=torch.Generator().manual_seed(0),
    )
    expected = transcribed_probabilities(labels, mask_ratio)
    counts = torch.bincount(kept.flatten(), minlength=len(expected)).double()
    spread = (expected * (1 - expected) / draws).clamp(min=0).sqrt()
    assert ((counts / draws - expected).abs() <= 5 * spread + 1e-9).all()


@pytest.mark.parametrize("mask_ratio", [0.9, 0.75, 0.6])
def test_crfrp_token_mask__every_draw_obeys_the_rules(mask_ratio):
    labels = face_map()
    tokens = token_labels(labels)
    kept, _ = crfrp_token_mask(labels.expand(300, -1, -1, -1), mask_ratio)
    for row in kept:
        assert_a_draw_obeys(tokens, set(row.tolist()), kept.shape[1])


def test_crfrp_token_mask__a_random_mask_does_not_obey():
    """The comparison above can fail."""
    tokens = token_labels(face_map())
    kept, _ = random_tubelet_mask((100, (2, 4, 4)), 0.5)
    obeying = 0
    for row in kept:
        try:
            assert_a_draw_obeys(tokens, set(row.tolist()), kept.shape[1])
        except AssertionError:
            continue
        obeying += 1
    assert obeying < 10


def test_crfrp_token_mask__face_boundary():
    """Skin on background has but this region: where both meet, all is masked."""
    labels = torch.zeros(50, 2, 96, 96, dtype=torch.int64)
    labels[:, :, 24:72, 16:80] = 1
    kept, _ = crfrp_token_mask(labels, 0.7)
    boundary_rows = {6 * row + column for row in (1, 4) for column in (1, 2, 3, 4)}
    assert not boundary_rows & set(kept.flatten().tolist())
    assert set(range(36)) == boundary_rows | set(kept.flatten().tolist())


def test_crfrp_token_mask__covered_region_larger_than_the_ratio():
    """All else is visible, and exactly as many tokens of the region as needed."""
    labels = torch.full((1, 2, 64, 64), 10)
    labels[:, :, :16] = 0
    kept, _ = crfrp_token_mask(labels, 0.25)
    assert kept.shape == (1, 12)
    assert set(range(4)) <= set(kept[0].tolist())


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    mask_ratio=st.floats(0.05, 0.75),
    tubelet=st.sampled_from([1, 2, 4]),
    prefix=st.integers(0, 2),
)
def test_crfrp_token_mask__partition(seed, mask_ratio, tubelet, prefix):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 11, (2, 4, 32, 32), generator=generator)
    options = {"tubelet_size": tubelet, "num_prefix_tokens": prefix}
    kept, masked = crfrp_token_mask(labels, mask_ratio, generator=generator, **options)
    total = (4 // tubelet) * 4
    assert kept.shape[1] == int(total * (1 - mask_ratio)) + prefix
    for row in range(2):
        assert kept[row].tolist() == sorted(kept[row].tolist())
        tokens = sorted(kept[row].tolist() + masked[row].tolist())
        assert tokens == list(range(total + prefix))


def test_crfrp_token_mask__released_counts_and_cells():
    labels = face_map().repeat_interleave(4, 0)[:, None].expand(-1, 1, -1, -1)
    labels = torch.nn.functional.interpolate(labels.float(), 224).long().transpose(0, 1)
    masks = [
        crfrp_token_mask(x, generator=torch.Generator().manual_seed(2))
        for x in (labels, RegionCells.from_labels(labels))
    ]
    assert masks[0][0].shape == (1, 156)
    assert masks[0][1].shape == (1, 1412)
    assert torch.equal(masks[0][0], masks[1][0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mask_ratio": 1.0}, r"Invalid mask_ratio 1\.0"),
        ({"patch_size": 7}, "Invalid patch_size 7: must divide height 64"),
        ({"tubelet_size": 3}, "Invalid tubelet_size 3: must divide"),
        ({"regions": torch.zeros(4, 64, 64).long()}, "Invalid shape of regions"),
    ],
)
def test_crfrp_token_mask__errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        crfrp_token_mask(**{"regions": face_map()[None], **arguments})


@pytest.mark.parametrize(
    ("tokens", "names"), [([], "none"), ([0], "none"), ([0, 1], "nose"), ([2], "hair")]
)
@pytest.mark.parametrize("prefix", [0, 1])
def test_crfrp__caption_names_what_is_hidden_whole(tokens, names, prefix):
    labels = torch.zeros(1, 2, 32, 32, dtype=torch.int64)
    labels[:, :, :16], labels[:, :, 16:, :16] = 6, 10
    regions = RegionCells.from_labels(labels)
    idx_mask = torch.tensor([tokens], dtype=torch.int64) + prefix
    strategy = Crfrp(num_prefix_tokens=prefix)
    caption = strategy.describe(MaskInputs((1, (1, 2, 2)), regions), idx_mask)
    assert caption.endswith(f"hidden whole here: {names}")
