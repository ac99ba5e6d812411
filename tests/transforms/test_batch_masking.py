import pytest
import torch

from lightly_marlin.regions import RegionCells
from lightly_marlin.transforms import BatchMasking, MixtureSchedule, mask_names
from lightly_marlin.transforms.clip_draws import step_positions


def masking(name="fasking", **changes):
    options = {"grid": (2, 4, 4), "patch_size": 16, "tubelet_size": 2}
    return BatchMasking(name, 0.75, **{**options, **changes})


def clips(batch=3):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 3, 4, 64, 64, generator=generator)


def cells(batch=3):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 11, (batch, 4, 16, 16), generator=generator)
    labels = labels.repeat_interleave(4, 2).repeat_interleave(4, 3)
    return RegionCells.from_labels(labels).bits


@pytest.mark.parametrize("name", mask_names())
def test_batch_masking__counts_and_repeatability(name):
    first = masking(name)(cells(), 5, videos=clips())
    again = masking(name)(cells(), 5, videos=clips())
    assert first[0].shape == (3, 8)
    assert first[1].shape == (3, 24)
    assert torch.equal(first[0], again[0])


@pytest.mark.parametrize("name", mask_names())
@pytest.mark.parametrize(("seed", "step"), [(1, 5), (0, 6)], ids=["seed", "step"])
def test_batch_masking__seed_and_step_each_matter(name, seed, step):
    many = cells(30)
    first, _ = masking(name)(many, 5, videos=clips(30))
    other, _ = masking(name, seed=seed)(many, step, videos=clips(30))
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", [*mask_names(), "fasking+tube", "random+crfrp"])
@pytest.mark.parametrize("decode_ratio", [1.0, 0.5])
def test_batch_masking__any_number_of_devices_draws_the_same(name, decode_ratio):
    """A clip's mask is of its position, whatever clips are beside it."""
    draw = masking(name, decode_ratio=decode_ratio, seed=3)
    whole = draw(cells(6), 4, step_positions(6, 24), clips(6))
    for world_size in (2, 3):
        for rank in range(world_size):
            own = slice(rank, None, world_size)
            places = step_positions(6 // world_size, 24, rank, world_size)
            part = draw(cells(6)[own], 4, places, clips(6)[own])
            assert all(torch.equal(x, y[own]) for x, y in zip(part, whole, strict=True))


def test_batch_masking__streams_are_independent():
    first, _ = masking()(cells(30), 5)
    assert torch.equal(first, masking(stream=0)(cells(30), 5)[0])
    assert not torch.equal(first, masking(stream=2)(cells(30), 5)[0])


def test_batch_masking__names_are_the_strategies():
    """Told apart by what they keep: whole tubelets, tubes, or neither."""
    kept = {
        name: masking(name)(cells(20), 0, videos=clips(20))[0] for name in mask_names()
    }
    tubelets = {n: max(len((r // 16).unique()) for r in kept[n]) for n in kept}
    places = {n: max(len((r % 16).unique()) for r in kept[n]) for n in kept}
    assert tubelets["frame"] == 1
    assert places["tube"] == 4
    assert tubelets["random"] == 2
    assert places["random"] > 4
    assert masking().name == "fasking"


def test_batch_masking__passes_mode_on():
    kept, _ = masking(mode="tube")(cells(), 0)
    assert torch.equal(kept[:, :4] + 16, kept[:, 4:])


def test_batch_masking__any_cells_where_regions_are_not_needed():
    kept, _ = masking("tube")(torch.zeros(3, 4, 8, 8), 0)
    assert torch.equal(kept, masking("tube")(cells(), 0)[0])
    with pytest.raises(ValueError, match="must be an int32 tensor"):
        masking("fasking")(torch.zeros(3, 4, 8, 8), 0)


def test_batch_masking__unknown_name():
    with pytest.raises(ValueError, match=r"Invalid mask \('x'\).*fasking, tube, frame"):
        masking("x")
    for name in ("fasking+x", "fasking+fasking", "fasking+tube+frame", "+"):
        with pytest.raises(ValueError, match="mixtures of two such"):
            masking(name)


def test_batch_masking__mixture_follows_its_schedule():
    """Frame masks see one tubelet; random ones of 8 in 32 tokens see both."""
    schedule = MixtureSchedule((1.0, 0.0), (0.0, 1.0), steps=10)
    strategy = masking("frame+random", schedule=schedule)
    shares = []
    for step in (0, 5, 10):
        kept, _ = strategy(cells(40), step)
        shares.append(sum(len((row // 16).unique()) == 1 for row in kept) / 40)
    assert shares[0] == 1.0
    assert shares[1] == pytest.approx(0.5, abs=0.05)
    assert shares[2] < 0.1


def test_batch_masking__crfrp_and_motion_are_what_they_say():
    """A face whose hair covers half: a draw hides all of it or keeps its share."""
    labels = torch.ones(40, 4, 64, 64, dtype=torch.int64)
    labels[:, :, :16] = 10
    labels[:, :, 48:] = 6
    kept, _ = masking("crfrp")(RegionCells.from_labels(labels).bits, 0)
    rows = kept % 16 // 4
    assert all((row != 0).all() or (row != 3).all() for row in rows)
    still = torch.rand(1, 3, 1, 64, 64).expand(3, 3, 4, 64, 64)
    kept, _ = masking("motion")(cells(), 0, videos=still)
    assert torch.equal(kept[:, :4] + 16, kept[:, 4:])
    with pytest.raises(ValueError, match="the motion mask needs the clips"):
        masking("motion")(cells(), 0)


def test_batch_masking__decodes_a_part():
    whole = masking()(cells(), 3)
    half = masking(decode_ratio=0.5)(cells(), 3)
    assert torch.equal(whole[0], half[0])
    assert half[1].shape == (3, 12)
    pairs = zip(half[1].tolist(), whole[1].tolist(), strict=True)
    assert all(set(part) < set(row) for part, row in pairs)
    with pytest.raises(ValueError, match=r"Invalid decode_ratio 0"):
        masking(decode_ratio=0)


@pytest.mark.parametrize("name", [*mask_names(), "fasking+tube"])
@pytest.mark.parametrize("decode_ratio", [1.0, 0.5])
def test_batch_masking__no_clips(name, decode_ratio):
    kept, masked = masking(name, decode_ratio=decode_ratio)(
        cells(0), 5, videos=clips(0)
    )
    assert kept.shape == (0, 8)
    assert masked.shape == (0, 24 * decode_ratio)
    assert kept.dtype == masked.dtype == torch.int64
