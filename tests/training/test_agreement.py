from types import SimpleNamespace

import pytest
from torch import distributed

from lightly_marlin.training.agreement import Agreement
from lightly_marlin.utils.errors import UsageError


def compare(monkeypatch, others):
    """Sets up a callback whose process meets others that have found other things."""

    def all_gather_object(everyone, own):
        everyone[:] = [own, *others]

    monkeypatch.setattr(distributed, "all_gather_object", all_gather_object)
    trainer = SimpleNamespace(world_size=1 + len(others))
    Agreement({"seed": 3, "checkpoint": None}).setup(trainer, None, "fit")


def test_agreement__one_process_and_equal_ones(monkeypatch):
    compare(monkeypatch, [])
    compare(monkeypatch, [{"seed": "3", "checkpoint": "None"}] * 2)


def test_agreement__names_what_differs(monkeypatch):
    same = {"seed": "3", "checkpoint": "None"}
    other = {"seed": "3", "checkpoint": "run/checkpoints/last.ckpt"}
    with pytest.raises(
        UsageError, match=r"checkpoint is None in process 0 and run/che"
    ):
        compare(monkeypatch, [same, other])
    with pytest.raises(UsageError, match="in process 2"):
        compare(monkeypatch, [same, other])
