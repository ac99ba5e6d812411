import logging

import pytest

from lightly_marlin.training.trainer_setup import (
    check_devices,
    is_leader,
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


def test_quiet_lightning__errors_still_show(monkeypatch):
    logger = logging.getLogger("pytorch_lightning")
    monkeypatch.setattr(logger, "level", logging.INFO)
    quiet_lightning()
    assert logger.level == logging.ERROR
