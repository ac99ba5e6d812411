import logging
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.strategies import DDPStrategy

from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.training.trainer_setup import (
    check_devices,
    is_leader,
    pretraining_trainer,
    quiet_lightning,
)
from lightly_marlin.utils.errors import UsageError


def test_check_devices__more_than_there_are(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    check_devices(2)
    with pytest.raises(UsageError, match=r"3 devices are asked for, .* 2 GPUs"):
        check_devices(3)


def test_check_devices__without_gpus(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    check_devices(4)
    with pytest.raises(UsageError, match="there are 4 cores and no GPU"):
        check_devices(5)


@pytest.mark.parametrize(("rank", "leads"), [(None, True), ("0", True), ("1", False)])
def test_is_leader__first_process(monkeypatch, rank, leads):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert is_leader() is leads


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
    strategy = trainer_of(tmp_path, devices=2).strategy
    assert isinstance(strategy, DDPStrategy)
    assert not strategy._ddp_kwargs["find_unused_parameters"]
    assert not strategy._ddp_kwargs["broadcast_buffers"]


def test_quiet_lightning__errors_still_show(monkeypatch):
    logger = logging.getLogger("pytorch_lightning")
    monkeypatch.setattr(logger, "level", logging.INFO)
    quiet_lightning()
    assert logger.level == logging.ERROR
