import pickle

import pytest
import torch

from lightly_marlin.regions import RegionCells
from lightly_marlin.transforms import (
    Crfrp,
    Fasking,
    FrameMask,
    MotionMask,
    MultiblockMask,
    RandomTubeletMask,
    RunningCellMask,
    TubeMask,
    crfrp_token_mask,
    fasking_token_mask,
    motion_token_mask,
    running_cell_decoder_mask,
)


def sample(side=64):
    labels = torch.randint(
        0, 11, (4, side, side), generator=torch.Generator().manual_seed(0)
    )
    return {"video": torch.zeros(3, 4, side, side), "regions": labels, "track_id": "a"}


def test_fasking__same_as_function():
    transform = Fasking(0.5, generator=torch.Generator().manual_seed(1))
    result = transform(sample())
    expected = fasking_token_mask(
        sample()["regions"][None], 0.5, generator=torch.Generator().manual_seed(1)
    )
    assert torch.equal(result["idx_keep"], expected[0][0])
    assert torch.equal(result["idx_mask"], expected[1][0])
    assert result["track_id"] == "a"


@pytest.mark.parametrize("with_video", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_fasking__cells_and_labels_agree(with_video, wrapped):
    labels = sample()
    cells = RegionCells.from_labels(labels["regions"])
    other = {"regions": cells if wrapped else cells.bits}
    if with_video:
        other["video"] = labels["video"]
    results = [
        Fasking(0.5, generator=torch.Generator().manual_seed(1))(entry)["idx_keep"]
        for entry in (labels, other)
    ]
    assert torch.equal(*results)


def test_fasking__image_with_class_token():
    image = {"regions": torch.zeros(1, 224, 224, dtype=torch.int64)}
    result = Fasking(0.75, tubelet_size=1, num_prefix_tokens=1)(image)
    assert result["idx_keep"].shape == (50,)
    assert result["idx_mask"].shape == (147,)


@pytest.mark.parametrize(
    "transform", [TubeMask, FrameMask, RandomTubeletMask, MultiblockMask]
)
def test_grid_transforms__counts(transform):
    result = transform(0.75, generator=torch.Generator().manual_seed(0))(sample())
    assert result["idx_keep"].shape == (8,)
    assert result["idx_mask"].shape == (24,)


@pytest.mark.parametrize(
    "transform",
    [
        Fasking,
        Crfrp,
        MotionMask,
        MultiblockMask,
        TubeMask,
        FrameMask,
        RandomTubeletMask,
    ],
)
def test_mask_transforms__pickled_for_a_worker(transform):
    """With all options, which no strategy may leave out."""
    original = transform(0.6, patch_size=32, tubelet_size=4, num_prefix_tokens=2)
    masks = []
    for candidate in (original, pickle.loads(pickle.dumps(original))):
        torch.manual_seed(0)
        masks.append(candidate(sample(side=128)))
    for name, shape in (("idx_keep", (2 + 6,)), ("idx_mask", (10,))):
        assert masks[0][name].shape == shape
        assert torch.equal(masks[0][name], masks[1][name])
    assert masks[0]["idx_keep"][:2].tolist() == [0, 1]


def test_transforms__errors():
    with pytest.raises(ValueError, match=r"needs the key 'regions', got \['video'\]"):
        Fasking()({"video": torch.zeros(3, 4, 64, 64)})
    with pytest.raises(ValueError, match="needs the key 'video'"):
        TubeMask()({})
    with pytest.raises(ValueError, match="does not tile a video of 4 frames of 60x60"):
        FrameMask()(sample(side=60))


@pytest.mark.parametrize(
    ("transform", "entry", "message"),
    [
        (TubeMask(), {"video": torch.zeros(4, 64, 64)}, r"Supported is \(C, T, H, W\)"),
        (Fasking(), {"regions": torch.zeros(64, 64)}, r"Supported are labels \(T, H"),
        (TubeMask(patch_size=0), sample(), "Invalid tubelet 2x0x0"),
        (Fasking(tubelet_size=3), sample(), "Invalid tubelet 3x16x16"),
    ],
)
def test_transforms__errors_of_shapes(transform, entry, message):
    with pytest.raises(ValueError, match=message):
        transform(entry)


def test_fasking__option_that_there_is_not():
    with pytest.raises(ValueError, match=r"Invalid mode \('x'\).*tubelet, tube"):
        Fasking(mode="x")


def test_crfrp__same_as_function():
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    result = Crfrp(0.5, generator=generators[0])(sample())
    expected = crfrp_token_mask(sample()["regions"][None], 0.5, generator=generators[1])
    assert torch.equal(result["idx_keep"], expected[0][0])
    assert torch.equal(result["idx_mask"], expected[1][0])


def test_motion_mask__same_as_function():
    video = {"video": torch.rand(3, 4, 64, 64, generator=torch.manual_seed(0))}
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    result = MotionMask(0.5, generator=generators[0])(video)
    expected = motion_token_mask(video["video"][None], 0.5, generator=generators[1])
    assert torch.equal(result["idx_keep"], expected[0][0])
    assert torch.equal(result["idx_mask"], expected[1][0])


def test_running_cell_mask__thins_the_mask_before_it():
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    masked = TubeMask(0.75, num_prefix_tokens=1)(sample())
    transform = RunningCellMask(num_prefix_tokens=1, generator=generators[0])
    result = transform(masked)
    expected = running_cell_decoder_mask(
        masked["idx_mask"][None],
        (2, 4, 4),
        num_prefix_tokens=1,
        generator=generators[1],
    )
    assert result["idx_mask"].shape == (12,)
    assert torch.equal(result["idx_mask"], expected[0])
    assert torch.equal(result["idx_keep"], masked["idx_keep"])


def test_other_transforms__errors():
    with pytest.raises(ValueError, match="needs the key 'regions'"):
        Crfrp()({"video": torch.zeros(3, 4, 64, 64)})
    with pytest.raises(ValueError, match="needs the key 'video'"):
        MotionMask()({})
    with pytest.raises(ValueError, match="Put a transform that adds a mask before"):
        RunningCellMask()(sample())
