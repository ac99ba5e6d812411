"""Pretraining over nodes: two machines are two programs that meet on loopback."""

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "recipes" / "pretrain_marlin.py"
OPTIONS = ("--model", "marlin_vit_tiny", "--image-size", 64, "--batch-size", 1)
OPTIONS += ("--workers", 0, "--precision", 32, "--warmup-steps", 2, "--log-every", 1)
OPTIONS += ("--logger", "none")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(command, log, **variables):
    """Starts a program whose output goes to a file."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    with log.open("w") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )


def srun(rank, options, log, port):
    """Starts a task as srun does, on the node of its number."""
    variables = {"SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2"}
    variables |= {"SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "2"}
    variables |= {"SLURM_PROCID": str(rank), "SLURM_NODEID": str(rank)}
    variables |= {"SLURM_LOCALID": "0", "MASTER_ADDR": "127.0.0.1"}
    command = [sys.executable, RECIPE, *options, "--num-nodes", 2]
    return start(command, log, MASTER_PORT=str(port), **variables)


def finish(*processes):
    try:
        return [process.wait(timeout=180) for process in processes]
    finally:
        for process in processes:
            process.kill()


def wait_for(path):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def rows(run):
    """Rows of metrics.csv without the clips per second, and not all of a loss.

    The score that the critic gives the generator's predictions holds the critic's last
    bias, whose gradient is rounding alone.
    """
    with (run / "metrics.csv").open() as file:
        found = [[float(x) for x in row.values()] for row in csv.DictReader(file)]
    exact = [row[:2] + row[3:-1] for row in found]
    return exact, [row[2] for row in found]


def assert_equal_runs(first, second):
    (exact, scores), (other, others) = rows(first), rows(second)
    assert exact == other
    assert scores == pytest.approx(others, abs=0.01)


@pytest.fixture(scope="module")
def one_machine(tmp_path_factory, tiny_store):
    """Four steps of two processes that the trainer starts."""
    out = tmp_path_factory.mktemp("runs") / "one"
    options = ("--store", tiny_store, *OPTIONS, "--max-steps", 4, "--out", out)
    command = (sys.executable, RECIPE, *options, "--devices", 2)
    assert finish(start(command, out.with_suffix(".log"))) == [0]
    return out


@pytest.mark.slow
def test_torchrun__two_nodes(one_machine, tiny_store, tmp_path):
    """One run folder, two processes, the losses of one machine."""
    out = tmp_path / "run"
    agent = [sys.executable, "-m", "torch.distributed.run", "--nnodes", 2]
    agent += ["--nproc-per-node", 1, "--rdzv-backend", "c10d", "--rdzv-id", "test"]
    agent += ["--rdzv-endpoint", f"127.0.0.1:{free_port()}"]
    agent += ["--local-addr", "127.0.0.1", RECIPE, "--store", tiny_store, *OPTIONS]
    agent += ["--max-steps", 4, "--num-nodes", 2, "--devices", "auto", "--out", out]
    logs = [tmp_path / "0.log", tmp_path / "1.log"]
    assert finish(*(start(agent, log) for log in logs)) == [0, 0]
    assert_equal_runs(out, one_machine)
    text = "".join(log.read_text() for log in logs)
    assert text.count("MARLIN pretraining") == 1
    assert "1 clips x 2 device(s)" in text
    assert "devices: auto" in (out / "config.yaml").read_text()


@pytest.mark.slow
def test_srun__a_task_that_begins_late(one_machine, tiny_store, tmp_path):
    """The second finds a folder that the first has made, and is no second run.

    Nor is it one with --resume, as job scripts have it, where nothing was begun.
    """
    out, port = tmp_path / "run", free_port()
    options = ("--store", tiny_store, *OPTIONS, "--max-steps", 4, "--out", out)
    options = (*options, "--resume")
    first = srun(0, options, tmp_path / "0.log", port)
    wait_for(out / "config.yaml")
    time.sleep(8)
    second = srun(1, options, tmp_path / "1.log", port)
    assert finish(first, second) == [0, 0]
    assert_equal_runs(out, one_machine)


@pytest.mark.slow
def test_srun__a_task_that_is_killed(one_machine, tiny_store, tmp_path):
    """The other ends with a line; both continue to the same end."""
    out, port = tmp_path / "run", free_port()
    options = ("--store", tiny_store, *OPTIONS, "--out", out, "--save-every", 2)
    # Longer than it can be before it is killed.
    long = (*options, "--max-steps", 4000, "--schedule-steps", 2200)
    logs = [tmp_path / f"{rank}.log" for rank in (0, 1)]
    tasks = [srun(rank, long, log, port) for rank, log in enumerate(logs)]
    wait_for(out / "checkpoints" / "last.ckpt")
    tasks[1].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    assert finish(*tasks) == [1, -signal.SIGKILL]
    assert time.monotonic() - killed < 60
    text = logs[0].read_text()
    assert "error: Another process of this training has ended" in text
    assert "Traceback" not in text

    steps = len(rows(out)[1]) + 2
    more = (*options, "--resume", "--max-steps", steps, "--schedule-steps", 2200)
    port = free_port()
    tasks = [srun(rank, more, log, port) for rank, log in enumerate(logs)]
    assert finish(*tasks) == [0, 0]
    exact, _ = rows(out)
    assert [row[0] for row in exact] == [*range(1, steps + 1)]
    assert exact[:4] == rows(one_machine)[0]


@pytest.mark.slow
def test_srun__a_job_that_is_requeued(one_machine, tiny_store, tmp_path, monkeypatch):
    """Slurm warns one task: both stop after the same step, and go on by themselves."""
    out, logs = tmp_path / "run", [tmp_path / f"{rank}.log" for rank in (0, 1)]
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/scontrol.txt\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scontrol.parent}{os.pathsep}{os.environ['PATH']}")
    options = ("--store", tiny_store, *OPTIONS, "--schedule-steps", 2200, "--out", out)
    port = free_port()
    long = (*options, "--max-steps", 4000)
    tasks = [srun(rank, long, log, port) for rank, log in enumerate(logs)]
    wait_for(out / "metrics.csv")
    while len(rows(out)[0]) < 3:
        time.sleep(0.1)
    tasks[1].send_signal(signal.SIGUSR1)
    assert finish(*tasks) == [1, 1]
    assert (tmp_path / "scontrol.txt").read_text() == "requeue 4242\n"
    assert "Traceback" not in "".join(log.read_text() for log in logs)
    exact, _ = rows(out)
    assert len(exact) % 10 == 0
    assert not list(out.glob("hpc_ckpt*"))

    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    port, more = free_port(), (*options, "--max-steps", len(exact) + 2)
    tasks = [srun(rank, more, log, port) for rank, log in enumerate(logs)]
    assert finish(*tasks) == [0, 0]
    resumed, _ = rows(out)
    assert resumed[:-2] == exact
    assert [row[0] for row in resumed] == [*range(1, len(exact) + 3)]
