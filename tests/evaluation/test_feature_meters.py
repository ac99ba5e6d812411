"""Meters of features: their values, their rows, and that they change nothing."""

import copy
import math

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader

from lightly_marlin.evaluation.feature_meters import (
    METERS_COLUMNS,
    FeatureMeters,
    measure_features,
    track_features,
)
from lightly_marlin.evaluation.metrics.alignment import alignment, uniformity
from lightly_marlin.evaluation.metrics.identity_knn import identity_knn
from lightly_marlin.evaluation.metrics.lidar import lidar
from lightly_marlin.evaluation.metrics.monitors import feature_std, rankme
from lightly_marlin.models import MarlinConfig, MarlinEncoder


class Clips:
    """Three clips of each of four tracks, of 32x32 pixels, as `TrackClips` has them."""

    num_clips = 3

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        shape = (4, 3, 3, 16, 32, 32)
        self.videos = torch.randint(
            0, 256, shape, dtype=torch.uint8, generator=generator
        )

    def __len__(self):
        return len(self.videos)

    def __getitem__(self, index):
        torch.rand(5)  # A data set may draw from the generator of the training.
        return self.videos[index]


class Module(pl.LightningModule):
    """Anybody's module that trains an encoder; drop path draws from torch."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.losses = []

    def training_step(self, batch, batch_idx):
        loss = self.encoder(batch).square().mean() + torch.rand(())
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    sizes = {"encoder_dim": 24, "encoder_depth": 2, "encoder_num_heads": 2}
    encoder = MarlinEncoder(MarlinConfig(img_size=32, **sizes))
    encoder.set_drop_path(0.5)
    return encoder.train()


def fit(encoder, folder, *, meters=True, steps=4, resume=None, logger=False, every=2):
    """Trains; returns the module and the meters."""
    torch.manual_seed(1)
    hook = FeatureMeters(folder / "meters.csv", encoder, Clips(), every=every)
    module = Module(encoder)
    trainer = pl.Trainer(
        max_steps=steps,
        accelerator="cpu",
        callbacks=[hook] if meters else [],
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        logger=logger,
    )
    batches = DataLoader(torch.rand(9, 3, 16, 32, 32), batch_size=1)
    trainer.fit(module, batches, ckpt_path=resume, weights_only=True)
    trainer.save_checkpoint(folder / "last.ckpt")
    return module, hook


def test_measure_features__each_meter():
    features = torch.randn(5, 3, 7, generator=torch.Generator().manual_seed(0))
    every = features.reshape(15, 7)
    found = measure_features(features)
    assert tuple(found) == METERS_COLUMNS[1:]
    uniformities = [uniformity(features[:, clip]) for clip in range(3)]
    assert found == {
        "rankme": rankme(every),
        "rankme_centred": rankme(every, centred=True),
        "lidar": lidar(features),
        "feature_std": feature_std(every),
        "alignment": alignment(features),
        "uniformity": pytest.approx(sum(uniformities) / 3),
        "identity_knn": identity_knn(features),
        "tracks": 5,
        "clips": 15,
    }


def test_measure_features__collapse():
    found = measure_features(torch.full((5, 2, 7), 0.1))
    expected = {
        "rankme": 1,
        "rankme_centred": 0,
        "lidar": 0,
        "feature_std": 0,
        "alignment": 0,
        "uniformity": 0,
        "identity_knn": 1 / 5,
        "tracks": 5,
        "clips": 10,
    }
    assert found == pytest.approx(expected, abs=1e-5)


def test_track_features__in_float32_and_evaluation_mode(encoder):
    encoder.blocks[0].eval()
    modes = [part.training for part in encoder.modules()]
    with torch.autocast("cpu", torch.bfloat16):
        features = track_features(encoder, Clips())
    assert [part.training for part in encoder.modules()] == modes
    assert (features.shape, features.dtype) == ((4, 3, 24), torch.float32)
    with torch.inference_mode():
        expected = encoder.eval()(Clips().videos.flatten(0, 1))
    torch.testing.assert_close(features, expected.unflatten(0, (4, 3)))


def test_feature_meters__training_is_bit_identical(encoder, tmp_path):
    plain = copy.deepcopy(encoder)
    first, _ = fit(plain, tmp_path, meters=False)
    assert not (tmp_path / "meters.csv").exists()
    second, hook = fit(encoder, tmp_path)
    assert first.losses == second.losses
    weights = second.encoder.state_dict()
    for name, tensor in first.encoder.state_dict().items():
        assert torch.equal(tensor, weights[name])
    rows = hook.csv.rows()
    assert [row["step"] for row in rows] == ["0", "2", "4"]
    assert tuple(rows[0]) == METERS_COLUMNS
    assert {(row["tracks"], row["clips"]) for row in rows} == {("4", "12")}
    # The encoder has changed, and they are those of the encoder as it is.
    assert rows[0] != {**rows[-1], "step": "0"}
    last = {name: float(value) for name, value in rows[-1].items()}
    assert last == {"step": 4, **hook.measure()}


def test_feature_meters__a_resumed_run_has_each_step_once(encoder, tmp_path):
    fit(encoder, tmp_path, steps=3)
    _, hook = fit(encoder, tmp_path, steps=5, resume=tmp_path / "last.ckpt")
    steps = [row["step"] for row in hook.csv.rows()]
    assert steps == ["0", "2", "3", "4", "5"]
    # Killed before its first checkpoint, it begins again, with its row of step 0.
    _, hook = fit(encoder, tmp_path, steps=1)
    assert [row["step"] for row in hook.csv.rows()] == ["0", "1"]


def test_feature_meters__are_logged(encoder, tmp_path):
    logger = CSVLogger(tmp_path, name="", version="csv")
    fit(encoder, tmp_path, steps=2, logger=logger)
    header = (tmp_path / "csv" / "metrics.csv").read_text().splitlines()[0]
    assert {"meters/rankme", "meters/identity_knn"} <= set(header.split(","))


@pytest.mark.parametrize("value", [math.nan, 3e38])
def test_measure__training_that_diverged(encoder, tmp_path, value):
    """Rows of NaN: the meters do not end a training that its user would look at."""
    encoder.norm.weight.data.fill_(value)
    encoder.norm.bias.data.fill_(value)
    meters = FeatureMeters(tmp_path / "meters.csv", encoder, Clips(), every=1)
    row = meters.measure()
    assert tuple(row) == METERS_COLUMNS[1:]
    assert all(math.isnan(number) for number in row.values())
