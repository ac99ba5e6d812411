"""Who started the processes of a training, told by the environment alone."""

import pytest

from lightly_marlin.training.processes import (
    check_processes,
    count_devices,
    find_launcher,
    is_leader,
)
from lightly_marlin.utils.errors import UsageError

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "x",
    "RANK": "1",
    "LOCAL_RANK": "0",
    "WORLD_SIZE": "2",
    "LOCAL_WORLD_SIZE": "1",
}
SRUN = {
    "SLURM_JOB_NAME": "train",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS": "4",
    "SLURM_NTASKS_PER_NODE": "2",
}
NAMES = {*TORCHRUN, *SRUN, "NODE_RANK", "GROUP_RANK", "MASTER_ADDR"}


@pytest.fixture
def started_by(monkeypatch):
    """Sets the variables of a launcher, and no others."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("os.cpu_count", lambda: 4)

    def set_variables(variables):
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    set_variables({})
    return set_variables


@pytest.mark.parametrize(
    ("variables", "leads"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"NODE_RANK": "1"}, False),
        ({"GROUP_RANK": "1", "LOCAL_RANK": "0"}, False),
        # The first process of the second node.
        (TORCHRUN, False),
        ({**TORCHRUN, "RANK": "0"}, True),
        (SRUN, False),
        ({**SRUN, "SLURM_PROCID": "0"}, True),
        # An allocation at whose prompt the trainer starts its own processes.
        ({**SRUN, "SLURM_JOB_NAME": "bash", "LOCAL_RANK": "0"}, True),
        # torchrun within a Slurm job.
        ({**SRUN, **TORCHRUN, "RANK": "0"}, True),
    ],
)
def test_is_leader__one_of_all_nodes(variables, leads, started_by):
    started_by(variables)
    assert is_leader() is leads


def test_find_launcher__sizes(started_by):
    assert find_launcher() is None
    started_by(TORCHRUN)
    assert (find_launcher().name, find_launcher().world_size) == ("torchrun", 2)
    started_by(SRUN)
    assert (find_launcher().world_size, find_launcher().per_node) == (4, 2)


def test_count_devices__auto(started_by, monkeypatch):
    assert count_devices("auto") == 1
    assert count_devices("3") == count_devices(3) == 3
    monkeypatch.setattr("torch.cuda.device_count", lambda: 8)
    assert count_devices("auto") == 8
    started_by(SRUN)
    assert count_devices("auto") == 2


def test_check_processes__as_they_were_started(started_by):
    check_processes(1, 4)
    started_by(TORCHRUN)
    check_processes(2, 1)
    started_by(SRUN)
    check_processes(2, 2)
    started_by({"NODE_RANK": "0", "MASTER_ADDR": "10.0.0.1"})
    check_processes(2, 1)


@pytest.mark.parametrize(
    ("variables", "sizes", "message"),
    [
        ({}, (1, 5), "5 devices are asked for, but there are 4 cores and no GPU"),
        ({}, (2, 1), "--num-nodes 2 needs a process on every node: start .* torchrun"),
        (TORCHRUN, (1, 1), "torchrun started 2 processes, .* ask for 1"),
        (SRUN, (4, 1), "srun started 2 processes on this node, but --devices is 1"),
        (
            {**SRUN, "SLURM_NTASKS_PER_NODE": ""},
            (2, 2),
            "Add --ntasks-per-node 2 to the job",
        ),
    ],
)
def test_check_processes__errors(variables, sizes, message, started_by):
    started_by(variables)
    with pytest.raises(UsageError, match=message) as error:
        check_processes(*sizes)
    assert "\n" not in str(error.value)


def test_check_processes__fewer_gpus(started_by, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    check_processes(1, 2)
    with pytest.raises(UsageError, match=r"3 devices are asked for, .* 2 GPUs"):
        check_processes(1, 3)
