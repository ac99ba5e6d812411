import logging
from types import SimpleNamespace

import torch
from pytorch_lightning.strategies import DDPStrategy

from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.training.trainer_setup import (
    pretraining_trainer,
    quiet_lightning,
)


def trainer_of(folder, **changes):
    module = SimpleNamespace(settings=PretrainSettings(**changes), model=None)
    return pretraining_trainer(module, RunFolder(folder), None, [], max_steps=3)


def test_pretraining_trainer__deterministic_algorithms(tmp_path):
    try:
        trainer_of(tmp_path)
        assert not torch.are_deterministic_algorithms_enabled()
        trainer_of(tmp_path, deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def test_pretraining_trainer__tf32_is_float32_for_lightning(tmp_path):
    before = torch.get_float32_matmul_precision()
    try:
        assert trainer_of(tmp_path, precision="tf32").precision == "32-true"
        assert torch.get_float32_matmul_precision() == "high"
        assert trainer_of(tmp_path, precision="bf16-mixed").precision == "bf16-mixed"
        assert torch.get_float32_matmul_precision() == "highest"
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = True


def test_pretraining_trainer__several_devices_search_for_nothing(tmp_path):
    strategy = trainer_of(tmp_path, devices="2").strategy
    assert isinstance(strategy, DDPStrategy)
    assert not strategy._ddp_kwargs["find_unused_parameters"]
    assert not strategy._ddp_kwargs["broadcast_buffers"]


def test_quiet_lightning__errors_still_show(monkeypatch):
    logger = logging.getLogger("pytorch_lightning")
    monkeypatch.setattr(logger, "level", logging.INFO)
    quiet_lightning()
    assert logger.level == logging.ERROR
