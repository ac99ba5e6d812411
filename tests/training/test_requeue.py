import os
import signal
from types import SimpleNamespace

import pytest

from lightly_marlin.training import requeue
from lightly_marlin.training.requeue import Requeue


def trainer(**changes):
    options = {"world_size": 1, "should_stop": False, "is_global_zero": True}
    return SimpleNamespace(**{**options, "global_step": 5, "max_steps": 9, **changes})


@pytest.fixture
def scontrol(monkeypatch):
    """Makes this process a task of a job; returns the calls of a scontrol that works.

    A returncode of None is one that is not installed.
    """
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_ARRAY_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    variables = {"SLURM_JOB_NAME": "train", "SLURM_NTASKS": "1", "SLURM_JOB_ID": "7"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = SimpleNamespace(calls=[], returncode=0)

    def run(command, check):
        found.calls.append(command)
        if found.returncode is None:
            raise FileNotFoundError
        return SimpleNamespace(returncode=found.returncode)

    monkeypatch.setattr(requeue.subprocess, "run", run)
    return found


def warn(run):
    """Runs the callback through a training that Slurm warns."""
    callback = Requeue()
    callback.setup(run, None, "fit")
    callback.on_due(run, None)
    assert not run.should_stop
    os.kill(os.getpid(), signal.SIGUSR1)
    callback.on_due(run, None)
    callback.on_fit_end(run, None)
    callback.teardown(run, None, "fit")


def test_requeue__stops_and_asks(scontrol):
    before, run = signal.getsignal(signal.SIGUSR1), trainer()
    warn(run)
    assert run.should_stop
    assert scontrol.calls == [["scontrol", "requeue", "7"]]
    assert signal.getsignal(signal.SIGUSR1) == before


def test_requeue__a_task_of_an_array(scontrol, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "40")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    warn(trainer())
    assert scontrol.calls == [["scontrol", "requeue", "40_3"]]


def test_requeue__what_has_ended_and_other_processes_ask_nothing(scontrol):
    warn(trainer(global_step=9))
    warn(trainer(is_global_zero=False))
    assert scontrol.calls == []


@pytest.mark.parametrize("returncode", [1, None])
def test_requeue__says_that_it_failed(returncode, scontrol, capsys):
    scontrol.returncode = returncode
    warn(trainer())
    assert "scontrol requeue 7 failed: submit the job again" in capsys.readouterr().out


def test_requeue__leaves_the_signal_alone_without_srun(monkeypatch):
    monkeypatch.delenv("SLURM_NTASKS", raising=False)
    before, callback = signal.getsignal(signal.SIGUSR1), Requeue()
    callback.setup(trainer(), None, "fit")
    assert signal.getsignal(signal.SIGUSR1) == before
    callback.on_due(trainer(), None)
    callback.teardown(trainer(), None, "fit")
