"""Other people's callbacks run on the module, and a resumed run equals a whole one."""

import copy
import dataclasses
import sys

import pytest
import pytorch_lightning as pl
import torch
from lightly.utils.benchmarking import MetricCallback
from pytorch_lightning.callbacks import (
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
)
from pytorch_lightning.loggers import CSVLogger
from small_marlin import SMALL, recorded

from lightly_marlin.data import FaceClipPairs, FaceClips
from lightly_marlin.demo import demo_store
from lightly_marlin.models import Marlin, MarlinConfig
from lightly_marlin.store import FaceStore
from lightly_marlin.training import marlin_pretraining as module
from lightly_marlin.training.batch_transforms import augmentation_of, masking_of
from lightly_marlin.training.checkpoint import LastCheckpoint, RunCheckpointIO
from lightly_marlin.training.marlin_pretraining import MarlinPretraining
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.schedule import WarmupCosine
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.training.step_graph import StepGraph
from lightly_marlin.transforms.clip_augmentation import mirror_cells
from lightly_marlin.utils.dependency import MissingExtraError
from lightly_marlin.utils.errors import UsageError

CONFIG = MarlinConfig()
SETTINGS = PretrainSettings(
    model="marlin_vit_tiny", batch_size=2, workers=0, discriminator_rate=0.5
)
LOSSES = ("loss/reconstruction", "loss/generator_adversarial", "loss/discriminator")
SCHEDULE = WarmupCosine(highest=1e-3, minimum=1e-5, warmup_steps=3, total_steps=8)


@pytest.fixture(autouse=True)
def _small_model(monkeypatch):
    create = lambda name, weights, img_size: Marlin(SMALL)  # noqa: E731
    monkeypatch.setattr(module, "create_marlin", create)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "store"
    demo_store(path, num_clips=2, num_frames=20)
    return FaceStore(path)


@pytest.fixture
def fit(store, tmp_path):
    """Trains a tiny model with the callbacks as anybody would."""

    def run(
        *callbacks,
        steps=3,
        schedule=SCHEDULE,
        folder=None,
        settings=SETTINGS,
        clips=None,
        **options,
    ):
        pl.seed_everything(0, verbose=False)
        trained = MarlinPretraining(settings, clips or FaceClips(store), schedule)
        callbacks, checkpoint = list(callbacks), None
        if folder is not None:
            checkpoint = folder.newest_checkpoint()
            callbacks.append(LastCheckpoint(folder, every=3))
            options["plugins"] = [RunCheckpointIO(folder, trained.model)]
        trainer = pl.Trainer(
            max_steps=steps,
            accelerator="cpu",
            callbacks=callbacks,
            default_root_dir=tmp_path,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
            **{"logger": False, "log_every_n_steps": 1, **options},
        )
        trainer.fit(trained, ckpt_path=checkpoint, weights_only=True)
        return trained, trainer

    return run


def test_global_step_counts_batches(fit):
    _, trainer = fit()
    assert trainer.global_step == 3
    assert trainer.fit_loop.epoch_loop.total_batch_idx == 2


def test_learning_rate_monitor(fit, tmp_path):
    """Model and critic follow the schedule; the critic's rate is half as high."""
    monitor = LearningRateMonitor(logging_interval="step")
    logger = CSVLogger(tmp_path, name="", version="")
    fit(monitor, steps=5, logger=logger)
    expected = [SCHEDULE(step) for step in range(5)]
    assert monitor.lrs["lr-AdamW"] == expected
    assert monitor.lrs["lr-AdamW-1"] == [rate / 2 for rate in expected]


def test_metric_callback(fit):
    metrics = MetricCallback()
    fit(metrics)
    assert set(LOSSES) <= metrics.train_metrics.keys()
    assert metrics.train_metrics["lr"] == pytest.approx([SCHEDULE(2)])


def test_model_checkpoint(fit, tmp_path):
    saved = ModelCheckpoint(
        tmp_path, monitor="loss/reconstruction", every_n_train_steps=1, save_top_k=1
    )
    trained, _ = fit(saved)
    best = torch.load(saved.best_model_path, weights_only=True)
    assert best["state_dict"].keys() == trained.state_dict().keys()
    assert saved.best_model_score == min(saved.best_k_models.values())


def test_ema_weight_averaging(fit):
    """After the training, the module has the average, not the last weights."""
    averaging = EMAWeightAveraging(decay=0.5)
    averaged, _ = fit(averaging)
    last, _ = fit()
    pairs = zip(averaged.parameters(), last.parameters(), strict=True)
    assert any(not torch.equal(first, second) for first, second in pairs)


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
@pytest.mark.parametrize("averaging", [(), (0.5,)])
def test_resumed_equals_uninterrupted(precision, averaging, fit, tmp_path):
    """Two steps and two more are the same as four, averaged weights included."""
    states = []
    for name, parts in (("whole", [4]), ("resumed", [2, 4])):
        folder = RunFolder(tmp_path / name)
        for steps in parts:
            callbacks = [EMAWeightAveraging(decay=decay) for decay in averaging]
            fit(*callbacks, steps=steps, folder=folder, precision=precision)
        states.append(torch.load(folder.checkpoint, weights_only=True))
    weights = ["state_dict"] + ["current_model_state"] * len(averaging)
    for key in weights:
        whole, resumed = (state[key] for state in states)
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert states[0]["global_step"] == states[1]["global_step"] == 4


def test_model_folder_holds_the_averaged_weights(fit, tmp_path):
    folder = RunFolder(tmp_path / "run")
    fit(EMAWeightAveraging(decay=0.5), folder=folder)
    model = Marlin.from_pretrained(folder.model).state_dict()
    saved = torch.load(folder.checkpoint, weights_only=True)
    averaged, last = (saved[key] for key in ("state_dict", "current_model_state"))
    assert all(torch.equal(x, averaged[f"model.{name}"]) for name, x in model.items())
    assert not all(torch.equal(x, last[f"model.{name}"]) for name, x in model.items())


def test_resumed_run_follows_its_schedule(fit, tmp_path):
    """A schedule that was changed counts from the first resumed step on."""
    folder = RunFolder(tmp_path / "run")
    fit(steps=2, folder=folder)
    metrics = MetricCallback()
    constant = WarmupCosine(7e-4, 7e-4, warmup_steps=0, total_steps=8)
    fit(metrics, steps=3, folder=folder, schedule=constant)
    assert metrics.train_metrics["lr"] == pytest.approx([7e-4])


class _Mirrored(FaceClips):
    """Clips that are mirrored before anything else sees them."""

    def __getitem__(self, index):
        clip = super().__getitem__(index)
        video, cells = clip["video"].flip(-1), mirror_cells(clip["regions"])
        return {**clip, "video": video, "regions": cells}


def with_settings(**changes):
    return dataclasses.replace(SETTINGS, **changes)


def equal_weights(first, second):
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(left, right) for left, right in pairs)


def distance(first, second):
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return sum(float((left - right).abs().sum()) for left, right in pairs)


def test_augmentation__masks_and_both_losses_see_the_same_clips(fit, store):
    """To mirror all clips is the same as to train on mirrored clips."""
    augmented, _ = fit(settings=with_settings(flip=1.0))
    mirrored, _ = fit(clips=_Mirrored(store))
    plain, _ = fit()
    assert equal_weights(augmented, mirrored)
    assert not equal_weights(augmented, plain)


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_augmentation__resumed_equals_uninterrupted(precision, fit, tmp_path):
    settings = with_settings(flip=0.5, crop_scale=0.6, color=0.2)
    for name, parts in (("whole", [4]), ("resumed", [2, 4])):
        folder = RunFolder(tmp_path / name)
        for steps in parts:
            fit(steps=steps, folder=folder, precision=precision, settings=settings)
    whole, resumed = (
        torch.load(RunFolder(tmp_path / name).checkpoint, weights_only=True)
        for name in ("whole", "resumed")
    )
    assert whole["global_step"] == resumed["global_step"] == 4
    states = (whole["state_dict"], resumed["state_dict"])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_objectives__are_composed_once_and_are_no_part_of_the_state(fit, monkeypatch):
    made = []

    class Counted(module.ObjectiveStep):
        def __init__(self, *arguments):
            made.append(self)
            super().__init__(*arguments)

    monkeypatch.setattr(module, "ObjectiveStep", Counted)
    settings = with_settings(objectives="pixels=1 adversarial=0.01 latent=0.1")
    trained, _ = fit(settings=settings)
    assert len(made) == 1
    parts = {name.partition(".")[0] for name in trained.state_dict()}
    assert parts == {"model", "discriminator", "objectives", "teacher"}
    # Nothing of the trainer is left in it.
    assert equal_weights(copy.deepcopy(trained), trained)


def test_second_clips__have_draws_of_their_own(fit, store):
    """With the largest seed as with any; nothing of a second clip is decoded."""
    seed = 2**32 - 1
    settings = with_settings(
        objectives="pixels=1 contrast=0.1", seed=seed, flip=0.5, decode_ratio=0.5
    )
    trained, _ = fit(settings=settings, clips=FaceClipPairs(store, seed=seed), steps=2)
    cells = torch.zeros(2, 16, 28, 28, dtype=torch.int32)
    first, decoded = trained.masking(cells, 0)
    second, hidden = trained.masking_b(cells, 0)
    assert not torch.equal(first, second)
    assert first.shape[1] + 2 * decoded.shape[1] == second.shape[1] + hidden.shape[1]
    assert trained.augmentation_b.stream != trained.augmentation.stream
    assert not hasattr(fit(steps=1)[0], "masking_b")


def test_augmentation_of__off_by_default():
    assert augmentation_of(PretrainSettings()) is None


@pytest.mark.parametrize(
    "changes", [{"flip": 0.3}, {"crop_scale": 0.7}, {"color": 0.2}]
)
def test_augmentation_of__settings_reach_the_clips(changes):
    augment = augmentation_of(PretrainSettings(seed=3, **changes))
    clips = augment.augmentation
    assert (clips.flip, clips.color) == (
        changes.get("flip", 0),
        changes.get("color", 0),
    )
    assert clips.crop_scale == (changes.get("crop_scale", 1), 1)
    assert augment.seed == 3


def test_augmentation_of__without_kornia(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia", None)
    assert augmentation_of(PretrainSettings()) is None
    with pytest.raises(MissingExtraError, match="Augmenting clips needs kornia"):
        augmentation_of(PretrainSettings(flip=0.5))


@pytest.mark.parametrize("end", [None, 0.0])
def test_masking_of__mixture(end):
    settings = PretrainSettings(
        mask="fasking+tube", mask_share=0.75, mask_share_end=end, mask_share_steps=10
    )
    masking = masking_of(settings, CONFIG)
    assert masking.schedule(0) == (0.75, 0.25)
    assert masking.schedule(10) == ((0.75, 0.25) if end is None else (0.0, 1.0))


def test_masking_of__settings_reach_the_masks():
    settings = PretrainSettings(mask="tube", mask_ratio=0.75, seed=3)
    cells = torch.zeros(2, 16, 28, 28, dtype=torch.int32)
    idx_keep, idx_mask = masking_of(settings, CONFIG, decode_ratio=0.5)(cells, 0)
    assert idx_keep.shape == (2, 392)
    assert idx_mask.shape == (2, 588)
    other = masking_of(PretrainSettings(mask="tube", mask_ratio=0.75, seed=4), CONFIG)
    assert not torch.equal(other(cells, 0)[0], idx_keep)


def test_masking_of__ratio_that_leaves_nothing():
    with pytest.raises(UsageError, match="mask_ratio"):
        masking_of(PretrainSettings(mask_ratio=0.9999), CONFIG)


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_cuda_graph__same_training(precision, fit, monkeypatch):
    """On a CPU a graph is a replay of the update; all around it is the same."""
    graphs = []

    def made(update):
        graphs.append(StepGraph(update, warmup=2, capture=recorded))
        return graphs[-1]

    monkeypatch.setattr(module, "StepGraph", made)
    options = {"steps": 5, "precision": precision}
    objectives = "pixels=1 adversarial=0.01 latent=0.1 histograms=0.1"
    settings = with_settings(objectives=objectives, gradients_every=4)
    plain, trainer = fit(settings=settings, **options)
    graph = dataclasses.replace(settings, cuda_graph=True)
    graphed, other = fit(settings=graph, **options)
    assert graphs[0]._replay is not None
    assert trainer.global_step == other.global_step == 5
    # Rates are float32 in a graph.
    for name, value in graphed.state_dict().items():
        torch.testing.assert_close(
            value, plain.state_dict()[name], atol=1e-6, rtol=1e-4
        )


def test_clip_gradient__of_the_model_alone(fit):
    clipped, _ = fit(settings=with_settings(clip_gradient=1e-9, adversarial_weight=1.0))
    plain, _ = fit(settings=with_settings(adversarial_weight=1.0))
    start, _ = fit(steps=1)
    # AdamW's steps are of any gradient's size but for its epsilon.
    moves = [distance(trained.model, start.model) for trained in (clipped, plain)]
    assert moves[0] < 0.2 * moves[1]
    # The critic's are not clipped.
    assert distance(clipped.discriminator, start.discriminator) > 0


def test_weight_decay__resumed_as_it_was_begun(fit, tmp_path):
    folder = RunFolder(tmp_path / "run")
    fit(steps=1, folder=folder)
    with pytest.raises(UsageError, match="begun without weight decay"):
        fit(steps=2, folder=folder, settings=with_settings(weight_decay=0.1))
    other = RunFolder(tmp_path / "other")
    fit(steps=1, folder=other, settings=with_settings(weight_decay=0.1))
    fit(steps=2, folder=other, settings=with_settings(weight_decay=0.2))
    saved = torch.load(other.checkpoint, weights_only=True)
    (state, _) = saved["optimizer_states"]
    decayed, exempt = state["param_groups"]
    # As earlier versions had it.
    state["param_groups"] = [
        {**decayed, "params": decayed["params"] + exempt["params"]}
    ]
    old, _ = fit(steps=1, settings=with_settings(weight_decay=0.2))
    with pytest.raises(UsageError, match="begun by an earlier version"):
        old.on_load_checkpoint(saved)
    old.on_load_checkpoint({})
    with pytest.raises(UsageError, match="begun with weight decay"):
        fit(steps=3, folder=other)


def test_samples_seen__in_the_checkpoint_or_counted_in_steps(fit, tmp_path):
    """Checkpoints of earlier versions are of runs with as many devices."""
    folder = RunFolder(tmp_path / "run")
    assert fit(steps=3, folder=folder)[0].samples_seen == 6
    saved = torch.load(folder.checkpoint, weights_only=True)
    assert saved["samples_seen"] == 6
    saved["samples_seen"] = 7
    torch.save(saved, folder.checkpoint)
    more = {"steps": 4, "folder": folder}
    assert fit(settings=with_settings(batch_size=1), **more)[0].samples_seen == 8
    del saved["samples_seen"]
    torch.save(saved, folder.checkpoint)
    assert fit(**more)[0].samples_seen == 8
    # A module counts anew for another trainer.
    assert fit(steps=1)[0].samples_seen == 2


def test_samples_seen__batches_of_distinct_tracks_begin_at_multiples(
    fit, store, tmp_path
):
    folder, clips = RunFolder(tmp_path / "run"), FaceClipPairs(store, seed=0)
    options = {"folder": folder, "clips": clips}
    settings = with_settings(objectives="pixels=1 contrast=0.1")
    fit(steps=1, settings=settings, **options)
    saved = torch.load(folder.checkpoint, weights_only=True)
    # As of steps of one or three clips.
    saved["samples_seen"] = 3
    torch.save(saved, folder.checkpoint)
    assert fit(steps=2, settings=settings, **options)[0].samples_seen == 6


@pytest.mark.parametrize(
    "objectives",
    [
        "pixels=1",
        "pixels=1 adversarial=0.01",
        "norm_pixels=1 latent=1",
        "motion=1",
        "latent=1",
        "instance=1",
        "contrast=1",
        "latent=1 instance=1",
    ],
)
def test_parameters_that_processes_average_all_get_gradients(objectives, fit, store):
    """DistributedDataParallel waits for each of them in each step."""
    got = []

    class Noted(pl.Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            if optimizer is trainer.optimizers[0]:
                parameters = pl_module.named_parameters()
                got.append({n for n, p in parameters if p.grad is not None})

    clips = FaceClipPairs(store, seed=0) if "contrast" in objectives else None
    trained, _ = fit(
        Noted(), steps=1, settings=with_settings(objectives=objectives), clips=clips
    )
    left_out = set(trained._ddp_params_and_buffers_to_ignore)
    averaged = {n for n, p in trained.named_parameters() if p.requires_grad} - left_out
    assert got[0] >= averaged
    assert got[0] - averaged <= {n for n in left_out if n.startswith("discriminator.")}
