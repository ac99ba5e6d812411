"""Fasking against a slow transcription of its rules, one token at a time."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.regions import RegionCells
from lightly_marlin.transforms import (
    crfrp_token_mask,
    fasking_token_mask,
    random_tubelet_mask,
)

COMPONENTS = [[2, 4], [3, 5], [6], [7, 8, 9], [10]]
SIDE = 64  # pixels: an 4x4 grid of patches of 16


def labels_of_token(frame, row, column, patch):
    square = frame[
        row * patch : (row + 1) * patch, column * patch : (column + 1) * patch
    ]
    return set(square.flatten().tolist())


def visible_before_drop(frame, mask_ratio, patch, groups):
    """The set of visible tokens of the tubelet that `frame` (H, W) decides."""
    rows, columns = frame.shape[0] // patch, frame.shape[1] // patch
    tokens = [
        labels_of_token(frame, r, c, patch) for r in range(rows) for c in range(columns)
    ]
    if all(labels == {-1} for labels in tokens):
        return set(range(len(tokens)))
    visible = set()
    for label in [label for group in groups for label in group]:
        visible |= {i for i, labels in enumerate(tokens) if label in labels}
        if len(visible) / len(tokens) >= 1 - mask_ratio:
            break
    return visible


def clip_candidates(clip, mask_ratio, components, *, patch, tubelet, opposite):
    """The visible tokens of a clip (T, H, W) before the drop, for one group order."""
    groups = [*components, [1], [0]] if opposite else [[0], [1], *components]
    per_tubelet = (clip.shape[1] // patch) * (clip.shape[2] // patch)
    return [
        index * per_tubelet + token
        for index, frame in enumerate(clip[::tubelet])
        for token in visible_before_drop(frame, mask_ratio, patch, groups)
    ]


def transcribed_probabilities(clip, mask_ratio, *, patch=16, tubelet=2, opposite=False):
    """P(visible) of every token: over all group orders, then a uniform drop."""
    total = (clip.shape[1] // patch) * (clip.shape[2] // patch) * (len(clip) // tubelet)
    kept = int(total * (1 - mask_ratio))
    orders = list(itertools.permutations(COMPONENTS))
    sizes = {"patch": patch, "tubelet": tubelet, "opposite": opposite}
    probabilities = torch.zeros(total, dtype=torch.float64)
    for components in orders:
        visible = clip_candidates(clip, mask_ratio, components, **sizes)
        probabilities[visible] += kept / len(visible) / len(orders)
    return probabilities


def face_map(frames=4, side=SIDE):
    """A drawn face: skin with brows, eyes, nose, mouth, hair on background."""
    labels = torch.zeros(frames, side, side, dtype=torch.int64)
    unit = side // 8
    labels[:, unit : 7 * unit, unit : 7 * unit] = 1
    labels[:, : 2 * unit, unit : 7 * unit] = 10
    for left, brow, eye in ((2, 2, 4), (5, 3, 5)):
        labels[:, 2 * unit, left * unit : (left + 1) * unit] = brow
        labels[:, 3 * unit, left * unit : (left + 1) * unit] = eye
    labels[:, 4 * unit, 3 * unit : 5 * unit] = 6
    for row, label in ((5, 7), (6, 9)):
        labels[:, row * unit : row * unit + 3, 3 * unit : 5 * unit] = label
    labels[:, 5 * unit + 3 : 6 * unit, 3 * unit : 5 * unit] = 8
    return labels


def assert_same_distribution(kept, probabilities):
    """Frequencies within five standard deviations; impossible tokens never."""
    draws = len(kept)
    counts = torch.bincount(kept.flatten(), minlength=len(probabilities)).double()
    spread = (probabilities * (1 - probabilities) / draws).clamp(min=0).sqrt()
    assert ((counts / draws - probabilities).abs() <= 5 * spread + 1e-9).all()


def edge_cases():
    face = face_map()
    half = face.clone()
    half[2:] = -1
    filling = face_map()
    filling[filling == 0] = 1
    return {
        "face": face,
        "no face": torch.full_like(face, -1),
        "second half without a face": half,
        "all background": torch.zeros_like(face),
        "face fills the frame": filling,
        "only components": face.clamp(min=2),
    }


@pytest.mark.parametrize("opposite", [False, True])
@pytest.mark.parametrize("case", edge_cases())
@pytest.mark.parametrize("mask_ratio", [0.9, 0.5])
def test_fasking_token_mask__distribution(case, opposite, mask_ratio):
    labels = edge_cases()[case]
    kept, _ = fasking_token_mask(
        labels.expand(5000, -1, -1, -1),
        mask_ratio,
        order="components_visible_first" if opposite else "components_masked_first",
        generator=torch.Generator().manual_seed(0),
    )
    expected = transcribed_probabilities(labels, mask_ratio, opposite=opposite)
    assert_same_distribution(kept, expected)


def test_fasking_token_mask__a_random_mask_has_another_distribution():
    """The comparison above can fail."""
    kept, _ = random_tubelet_mask((5000, (2, 4, 4)), 0.9)
    expected = transcribed_probabilities(face_map(), 0.9)
    with pytest.raises(AssertionError):
        assert_same_distribution(kept, expected)


def test_fasking_token_mask__every_draw_obeys_the_order():
    """What no filling order can make visible is never visible, and the reverse."""
    labels = face_map()
    kept, masked = fasking_token_mask(labels.expand(500, -1, -1, -1), 0.5)
    background_or_skin = visible_before_drop(labels[0], 0.5, 16, [[0], [1]])
    allowed = {16 * t + token for t in range(2) for token in background_or_skin}
    assert set(kept.flatten().tolist()) <= allowed
    assert set(range(32)) - allowed <= set(masked[0].tolist())


@pytest.mark.real_data
def test_fasking_token_mask__distribution_on_real_regions(real_videos):
    from lightly_marlin.faces import (
        crop_face,
        find_faces,
        landmarks_to_crop,
        main_track,
        regions_from_landmarks,
    )
    from lightly_marlin.video.reader import iter_frames

    path = real_videos / "wild_talking_01.mp4"
    frames = list(itertools.islice(iter_frames(path), 20))
    track = main_track(find_faces(frames))
    points = landmarks_to_crop(track.landmarks, track.boxes)[:4]
    assert crop_face(frames[0], track.boxes[0]).shape == (224, 224, 3)
    labels = torch.from_numpy(regions_from_landmarks(points, 224, 224)).long()
    kept, _ = fasking_token_mask(labels.expand(1000, -1, -1, -1))
    assert_same_distribution(kept, transcribed_probabilities(labels, 0.9))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    mask_ratio=st.floats(0.05, 0.75),
    tubelet=st.sampled_from([1, 2, 4]),
    patch=st.sampled_from([8, 16]),
    mode=st.sampled_from(["tubelet", "tube"]),
    order=st.sampled_from(["components_masked_first", "components_visible_first"]),
)
def test_fasking_token_mask__partition(seed, mask_ratio, tubelet, patch, mode, order):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 11, (2, 4, 32, 32), generator=generator)
    kept, masked = fasking_token_mask(
        labels,
        mask_ratio,
        patch_size=patch,
        tubelet_size=tubelet,
        mode=mode,
        order=order,
        generator=generator,
    )
    total = (4 // tubelet) * (32 // patch) ** 2
    assert kept.shape[1] == int(total * (1 - mask_ratio))
    for row in range(2):
        tokens = sorted(kept[row].tolist() + masked[row].tolist())
        assert tokens == list(range(total))
        assert kept[row].tolist() == sorted(kept[row].tolist())
        assert masked[row].tolist() == sorted(masked[row].tolist())


def test_fasking_token_mask__released_counts():
    labels = face_map(frames=16, side=224)
    kept, masked = fasking_token_mask(labels.unsqueeze(0))
    assert kept.shape == (1, 156)
    assert masked.shape == (1, 1412)
    assert kept.dtype == masked.dtype == torch.int64


@pytest.mark.parametrize("patch_size", [8, 16, 32])
def test_fasking_token_mask__cells_equal_labels(patch_size):
    labels = face_map().expand(3, -1, -1, -1)
    results = [
        fasking_token_mask(
            regions,
            0.7,
            patch_size=patch_size,
            generator=torch.Generator().manual_seed(3),
        )
        for regions in (labels, RegionCells.from_labels(labels))
    ]
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_fasking_token_mask__first_frame_of_tubelet_decides():
    labels = face_map()
    other = labels.clone()
    other[1::2] = 0
    masks = [
        fasking_token_mask(x[None], 0.5, generator=torch.Generator().manual_seed(0))[0]
        for x in (labels, other)
    ]
    assert torch.equal(*masks)


def test_fasking_token_mask__tube_is_the_same_in_all_tubelets():
    labels = face_map(frames=8)
    kept, _ = fasking_token_mask(labels.expand(5, -1, -1, -1), 0.75, mode="tube")
    positions = kept.reshape(5, 4, 4) % 16
    assert torch.equal(positions, positions[:, :1].expand(-1, 4, -1))


def test_fasking_token_mask__tube_decided_by_first_parsed_tubelet():
    labels = face_map(frames=8)
    labels[:4] = -1
    kept, _ = fasking_token_mask(labels.expand(200, -1, -1, -1), 0.75, mode="tube")
    allowed = visible_before_drop(labels[4], 0.75, 16, [[0], [1]])
    assert set((kept % 16).flatten().tolist()) == allowed


def test_fasking_token_mask__image():
    kept, masked = fasking_token_mask(
        face_map(frames=1)[None], 0.75, tubelet_size=1, num_prefix_tokens=1
    )
    assert kept.shape == (1, 5)
    assert kept[0, 0] == 0
    assert kept[0, 1:].min() >= 1
    assert masked.shape == (1, 12)
    assert masked.max() <= 16


def test_fasking_token_mask__same_seed_same_mask():
    labels = face_map().expand(4, -1, -1, -1)
    draws = [
        fasking_token_mask(labels, generator=torch.Generator().manual_seed(seed))[0]
        for seed in (0, 0, 1)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mask_ratio": 0.0}, r"Invalid mask_ratio 0\.0.*\(0, 1\)"),
        ({"mask_ratio": 1.0}, r"Invalid mask_ratio 1\.0"),
        ({"mask_ratio": 0.99}, "leaves none of 32 tokens visible"),
        (
            {"mode": "cube"},
            r"Invalid mode \('cube'\)\. Supported values are tubelet, tube",
        ),
        ({"order": "x"}, "Invalid order"),
        ({"patch_size": 7}, "Invalid patch_size 7: must divide height 64"),
        ({"tubelet_size": 3}, "Invalid tubelet_size 3: must divide"),
        ({"regions": torch.zeros(4, 64, 64).long()}, "Invalid shape of regions"),
        ({"regions": torch.zeros(1, 4, 64, 64)}, "Invalid dtype of labels"),
        ({"regions": torch.full((1, 4, 64, 64), 11)}, r"Invalid labels in \[11, 11\]"),
    ],
)
def test_fasking_token_mask__errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        fasking_token_mask(**{"regions": face_map()[None], **arguments})


@pytest.mark.parametrize("mode", ["tubelet", "tube"])
@pytest.mark.parametrize("draw", [fasking_token_mask, crfrp_token_mask])
def test_masks_of_no_clips(draw, mode):
    labels = torch.zeros(0, 4, 32, 32, dtype=torch.uint8)
    options = {"mode": mode} if draw is fasking_token_mask else {}
    for regions in (labels, RegionCells.from_labels(labels)):
        kept, masked = draw(regions, 0.75, num_prefix_tokens=1, **options)
        assert (kept.shape, masked.shape) == ((0, 3), (0, 6))


@pytest.mark.parametrize("draw", [fasking_token_mask, crfrp_token_mask])
def test_clips_without_frames_are_refused(draw):
    with pytest.raises(ValueError, match="no token to mask"):
        draw(RegionCells(torch.zeros(2, 0, 4, 4, dtype=torch.int32)))
