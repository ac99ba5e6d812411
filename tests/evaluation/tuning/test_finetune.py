from dataclasses import replace

import pytest
import pytorch_lightning as pl
import torch

from lightly_marlin.evaluation.items.item_places import find_places
from lightly_marlin.evaluation.labels.splits import folds
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.tuning.finetune import Finetune
from lightly_marlin.evaluation.tuning.finetune_data import FinetuneData
from lightly_marlin.evaluation.tuning.finetune_files import (
    FinetuneFiles,
    best_checkpoint,
)
from lightly_marlin.models import MarlinConfig, MarlinEncoder
from lightly_marlin.training.checkpoint import RunCheckpointIO
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.transforms import ClipAugmentation

CONFIG = MarlinConfig(img_size=32, encoder_dim=24, encoder_depth=3, encoder_num_heads=2)
BINARY = Target("binary", ("red",))


def encoder():
    torch.manual_seed(0)
    return MarlinEncoder(CONFIG)


def make(target=BINARY, **options):
    options = {"batch_size": 4, "learning_rate": 0.2, **options}
    return Finetune(encoder(), target, **options)


def full(**options):
    """Everything that draws a random number."""
    return make(
        drop_path=0.3,
        dropout=0.3,
        batch_norm=True,
        mixup=0.8,
        cutmix=1.0,
        augmentation=ClipAugmentation(),
        **options,
    )


@pytest.fixture(scope="module")
def data(colored_store, colored_table):
    places = find_places(colored_table, colored_store)
    fold = folds(colored_table)[0]

    def make_data(table=colored_table, **options):
        options = {"batch_size": 4, **options}
        return FinetuneData(table, colored_store, fold, places, **options)

    return make_data


def fit(module, data, out, epochs, *, stop=None, resume=False, **options):
    folder = RunFolder(out)
    checkpoint = folder.open(resume=resume)
    callbacks = [FinetuneFiles(folder, module.primary)]
    if stop is not None:
        callbacks.append(_Stop(stop))
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        default_root_dir=out,
        plugins=[RunCheckpointIO(folder, None)],
        callbacks=callbacks,
        **options,
    )
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    return folder


class _Stop(pl.Callback):
    """The machine is gone in the middle of an epoch, counted from 0."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == self.epoch:
            raise KeyError("killed")


def weights(module):
    return {name: x.clone() for name, x in module.model.state_dict().items()}


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    module = full()
    fit(module, data(), out, 4)
    return out, weights(module)


def test_finetune__learns_what_can_be_seen(data, tmp_path):
    module = make(drop_path=0.0, learning_rate=2.0, augmentation=ClipAugmentation())
    folder = fit(module, data(), tmp_path / "run", 15)
    rows = FinetuneFiles(folder, module.primary).csv.rows()
    assert [int(row["epoch"]) for row in rows] == list(range(1, 16))
    assert float(rows[0]["loss/train"]) > 0.6
    assert float(rows[-1]["loss/train"]) < 0.45
    assert float(rows[-1]["loss/val"]) < 0.45
    assert float(rows[-1]["auc/flat/val"]) == 1
    assert float(rows[0]["lr"]) < max(float(row["lr"]) for row in rows)


@pytest.mark.parametrize("epoch", [1, 3])
def test_finetune__resumed_equals_uninterrupted(data, tmp_path, uninterrupted, epoch):
    """Weights and metrics, bit for bit, although the training was killed."""
    out, expected = uninterrupted
    with pytest.raises(KeyError, match="killed"):
        fit(full(), data(), tmp_path / "run", 4, stop=epoch)
    # Whatever else draws numbers in between does not matter.
    torch.manual_seed(99)
    module = full()
    module.model.head.weight.data += 1
    fit(module, data(workers=1), tmp_path / "run", 4, resume=True)
    for name, tensor in weights(module).items():
        assert torch.equal(tensor, expected[name]), name
    metrics = (tmp_path / "run" / "metrics.csv").read_text()
    assert metrics == (out / "metrics.csv").read_text()
    best = [
        torch.load(best_checkpoint(RunFolder(path)), weights_only=True)
        for path in (out, tmp_path / "run")
    ]
    assert best[0]["epoch"] == best[1]["epoch"]
    for name, tensor in best[0]["state_dict"].items():
        assert torch.equal(tensor, best[1]["state_dict"][name])


def test_finetune__best_epoch_by_validation(uninterrupted):
    out, _ = uninterrupted
    rows = FinetuneFiles(RunFolder(out), "auc/flat").csv.rows()
    keys = [(float(r["auc/flat/val"]), -float(r["loss/val"])) for r in rows]
    saved = torch.load(best_checkpoint(RunFolder(out)), weights_only=True)
    assert saved["epoch"] == keys.index(max(keys))
    assert "optimizer_states" not in saved


def test_finetune__no_trace_in_the_global_generator(data, tmp_path):
    module = full()
    batch = next(iter(data().train_dataloader()))
    trainer = pl.Trainer(logger=False, accelerator="cpu", default_root_dir=tmp_path)
    module.log = lambda *args, **options: None
    module._trainer = trainer
    trainer.strategy.connect(module)
    trainer.optimizers = [torch.optim.SGD(module.parameters(), 0.1)]
    module.train()
    state = torch.get_rng_state()
    first = module.training_step(batch, 0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    assert torch.equal(module.training_step(batch, 0), first)
    assert not torch.equal(module.training_step(batch, 1), first)


def test_finetune__metrics_are_over_the_split_not_over_batches(data, tmp_path):
    """One batch or many: the same loss and metric, of item scores."""
    seen = []
    for size in (4, 2):
        module = make(learning_rate=0.0, batch_size=size)
        torch.nn.init.normal_(module.model.head.weight)
        module.model.encoder.blocks[0].mlp.fc1.weight.data *= 3
        folder = fit(module, data(batch_size=size), tmp_path / str(size), 1)
        (row,) = FinetuneFiles(folder, module.primary).csv.rows()
        seen.append([float(row[name]) for name in ("loss/val", "auc/flat/val")])
    assert seen[0] == pytest.approx(seen[1], rel=1e-5)


@pytest.mark.parametrize("tune", ["all", "norm", "head"])
def test_finetune__what_is_tuned(data, tmp_path, tune):
    module = make(tune=tune, drop_path=0.5)
    before = weights(module)
    fit(module, data(), tmp_path / "run", 1)
    changed = {n for n, x in weights(module).items() if not torch.equal(x, before[n])}
    heads = {"head.weight", "head.bias"}
    norms = {n for n in before if "norm" in n}
    wanted = {"all": set(before) - {"encoder.pos_embed"}, "norm": norms | heads}
    assert changed == wanted.get(tune, heads)


def test_finetune__loaded_encoder_drops_paths(data, tmp_path):
    """Encoders from a file are in evaluation mode, and Lightning keeps modes."""
    modes = []

    class Spied(Finetune):
        def training_step(self, batch, batch_idx):
            modes.append(self.model.encoder.blocks[2].drop_path1.training)
            return super().training_step(batch, batch_idx)

    fit(Spied(encoder().eval(), BINARY, batch_size=4), data(), tmp_path / "run", 2)
    assert modes == [True, True]


def test_finetune__frozen_encoder_does_not_drop_paths():
    module = make(tune="head", drop_path=0.9).train()
    assert not module.model.encoder.training
    assert module.model.head.training


def test_finetune__rates_of_the_layers(data, tmp_path):
    module = make(layer_decay=0.5, learning_rate=1e-3, batch_size=128)
    trainer = pl.Trainer(logger=False, max_epochs=2, default_root_dir=tmp_path)
    module.trainer = trainer
    trainer.strategy.connect(module)
    trainer.fit_loop.setup_data = lambda: None
    trainer.fit_loop.max_batches = 10
    optimizer = module.configure_optimizers()["optimizer"]
    rates = {n: g["initial_lr"] for g in optimizer.param_groups for n in g["names"]}
    assert rates["head.weight"] == pytest.approx(5e-4)
    assert rates["encoder.patch_embed.bias"] == pytest.approx(5e-4 * 0.5**4)
    assert optimizer.defaults["betas"] == (0.9, 0.999)


@pytest.mark.parametrize(
    ("kind", "names", "labels"),
    [
        ("multilabel", ("a", "b"), [[1, 0], [0, torch.nan], [1, 1]]),
        ("multiclass", ("a", "b", "c"), [[0], [1], [2]]),
        ("regression", ("x",), [[-40], [torch.nan], [70]]),
    ],
)
def test_finetune__every_kind(data, colored_table, tmp_path, kind, names, labels):
    target = Target(kind, names)
    labels = torch.tensor(labels, dtype=torch.float32).repeat(4, 1)
    table = replace(colored_table, target=target, labels=labels)
    mixed = {} if kind == "regression" else {"mixup": 0.8, "label_smoothing": 0.1}
    module = make(target, **mixed)
    module.model.start_at(labels)
    folder = fit(module, data(table), tmp_path / "run", 2)
    rows = FinetuneFiles(folder, module.primary).csv.rows()
    assert all(torch.isfinite(torch.tensor(float(row["loss/val"]))) for row in rows)
    if kind == "regression":
        assert float(rows[0]["mae/val"]) < 60


def test_finetune__bf16(data, tmp_path):
    module = make()
    folder = fit(module, data(), tmp_path / "run", 1, precision="bf16-mixed")
    (row,) = FinetuneFiles(folder, module.primary).csv.rows()
    assert 0.5 < float(row["loss/val"]) < 0.9
    assert module.model.head.weight.dtype == torch.float32


def test_finetune__batch_norm_is_measured_on_training_clips_as_they_are(data, tmp_path):
    module, loaders = full(), data()
    fit(module, loaders, tmp_path / "run", 2)
    module.eval()
    with torch.no_grad():
        features = torch.cat(
            [
                module.model.features(item["video"][None])
                for item in loaders.train_windows
            ]
        )
    norm = module.model.norm
    torch.testing.assert_close(norm.running_mean, features.mean(dim=0))
    torch.testing.assert_close(norm.running_var, features.var(dim=0))


def test_finetune__gradient_accumulation_draws_anew(data, tmp_path):
    module = full()
    fit(module, data(batch_size=2), tmp_path / "run", 1, accumulate_grad_batches=3)
    assert module.trainer.global_step == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tune": "some"}, r"Invalid tune \('some'\). Supported values are all, norm"),
        ({"drop_path": 1.0}, "Invalid drop path rate 1.0"),
        (
            {"target": Target("regression", ("x",)), "mixup": 0.8},
            "Invalid mixup 0.8 or cutmix 0.0 of a regression",
        ),
    ],
)
def test_finetune__invalid_options(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
