from types import SimpleNamespace

import pytest
import torch
from small_marlin import SMALL

from lightly_marlin.models import Marlin
from lightly_marlin.models.patches import patchify
from lightly_marlin.training import mean_color_loss
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.validation import Validation, _share
from lightly_marlin.transforms import BatchMasking


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_mean_color_loss__equals_definition(dtype):
    videos = torch.randint(0, 256, (2, 3, 4, 32, 32), dtype=torch.uint8)
    clips = videos.float() / 255
    idx_mask = torch.tensor([[0, 3, 5], [1, 2, 7]])
    rows = torch.arange(2).unsqueeze(1)
    target = patchify(clips)[rows, idx_mask]
    mean = clips.mean(dim=(2, 3, 4), keepdim=True).expand_as(clips)
    expected = (target - patchify(mean)[rows, idx_mask]).square().mean()
    given = videos if dtype == torch.uint8 else clips
    torch.testing.assert_close(mean_color_loss(given, idx_mask), expected)


def test_mean_color_loss__constant_clip_is_zero():
    videos = torch.full((1, 3, 4, 32, 32), 77, dtype=torch.uint8)
    loss = mean_color_loss(videos, torch.tensor([[0, 1]]))
    assert loss.item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("count", [1, 5, 16])
@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_share__every_clip_once_and_equally_many_places(count, world_size):
    shares = [_share(count, rank, world_size) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    places = [place for share in shares for place in share]
    assert places[:count] == [*range(count)]
    assert len(places) - count < world_size


def test_validation__the_sums_of_any_number_of_processes(tmp_path):
    """Five clips in one process, in two with a batch that is no full one, in six."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    clips = [
        {
            "video": torch.rand(3, 16, 224, 224, generator=generator),
            "regions": torch.zeros(16, 28, 28, dtype=torch.int32),
        }
        for _ in range(5)
    ]
    model = Marlin(SMALL)
    masking = BatchMasking(
        "tube", 0.9, grid=SMALL.grid, patch_size=16, tubelet_size=2, seed=3
    )
    folder = RunFolder(tmp_path)
    validation = Validation(folder, model, clips, masking, batch_size=2, every=1)
    found, cpu = [], torch.device("cpu")
    for world_size in (1, 2, 6):
        sums = torch.zeros(3, dtype=torch.float64)
        for rank in range(world_size):
            trainer = SimpleNamespace(is_global_zero=rank == 0, global_step=world_size)
            sums += validation._sums(_share(5, rank, world_size), cpu, trainer)
        found.append(sums)
        assert (folder.pictures / f"step_{world_size:07d}.png").exists()
    assert float(found[0][2]) == 5
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-6, atol=0)
