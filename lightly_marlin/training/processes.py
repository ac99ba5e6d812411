"""Processes of a training: how many there are, who started them, and which one leads.

Three ways to start them, each with its own variables in the environment:

- torchrun starts one process per device on every node (RANK, WORLD_SIZE);
- srun does so for a Slurm job (SLURM_PROCID, SLURM_NTASKS);
- without either, the trainer starts this program again for each further device of its
  node (LOCAL_RANK), and a person does so on every node (NODE_RANK).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from lightly_marlin.utils.errors import UsageError

__all__ = ["Launcher", "check_processes", "count_devices", "find_launcher", "is_leader"]

_AUTO = "auto"

# Lightning leaves jobs of these names to the other ways, too.
_INTERACTIVE_JOBS = ("bash", "interactive")


@dataclass(frozen=True)
class Launcher:
    """Program that started all processes of a training.

    Attributes:
        name: "torchrun" or "srun".
        rank: Number of this process among all.
        world_size: Number of all processes.
        per_node: Number of processes on this node; None if it is not known.
    """

    name: str
    rank: int
    world_size: int
    per_node: int | None


def find_launcher() -> Launcher | None:
    """Returns the program that started this process as one of several, or None."""
    # torchrun comes first, as it may run in a Slurm job.
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return Launcher(
            "torchrun",
            int(os.environ["RANK"]),
            int(os.environ["WORLD_SIZE"]),
            _number("LOCAL_WORLD_SIZE"),
        )
    job = os.environ.get("SLURM_JOB_NAME")
    if "SLURM_NTASKS" in os.environ and job not in _INTERACTIVE_JOBS:
        return Launcher(
            "srun",
            int(os.environ.get("SLURM_PROCID", 0)),
            int(os.environ["SLURM_NTASKS"]),
            _number("SLURM_NTASKS_PER_NODE"),
        )
    return None


def is_leader() -> bool:
    """Returns whether this process is the one that writes for all, rank 0."""
    launcher = find_launcher()
    if launcher is not None:
        return launcher.rank == 0
    node = os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", 0))
    return int(node) == 0 and int(os.environ.get("LOCAL_RANK", 0)) == 0


def count_devices(devices: int | str) -> int:
    """Returns the number of devices per node, with "auto" resolved.

    Args:
        devices: A number, or "auto": what the launcher has started on a node, or all
            GPUs, or the processor as one device.
    """
    if devices != _AUTO:
        return int(devices)
    launcher = find_launcher()
    if launcher is not None and launcher.per_node is not None:
        return launcher.per_node
    return torch.cuda.device_count() or 1


def check_processes(num_nodes: int, devices: int) -> None:
    """Checks that devices are there and that as many processes were started.

    Args:
        num_nodes: Number of nodes.
        devices: Devices per node, each with a process of its own.

    Raises:
        UsageError: If this node has fewer devices, or the numbers are not those that
            the processes were started with.
    """
    gpus = torch.cuda.device_count()
    available = gpus or os.cpu_count() or 1
    if devices > available:
        raise UsageError(
            f"{devices} devices are asked for, but there are {available} "
            f"{'GPUs' if gpus else 'cores and no GPU'}. Lower --devices."
        )
    launcher = find_launcher()
    if launcher is None:
        if num_nodes > 1 and not {"NODE_RANK", "MASTER_ADDR"} <= os.environ.keys():
            raise UsageError(
                f"--num-nodes {num_nodes} needs a process on every node: start this "
                "command with torchrun or srun, or by hand with NODE_RANK, MASTER_ADDR "
                "and MASTER_PORT set on each node."
            )
        return
    if launcher.world_size != num_nodes * devices:
        raise UsageError(
            f"{launcher.name} started {launcher.world_size} processes, but --num-nodes "
            f"{num_nodes} and --devices {devices} ask for {num_nodes * devices}. Give "
            f"{launcher.name} and this command the same numbers."
        )
    if launcher.per_node not in (None, devices):
        raise UsageError(
            f"{launcher.name} started {launcher.per_node} processes on this node, but "
            f"--devices is {devices}. Give {launcher.name} and this command the same "
            "number."
        )
    if launcher.world_size > 1 and launcher.per_node is None:
        # Lightning asks for it.
        raise UsageError(
            f"{launcher.name} does not say how many processes a node has. Add "
            f"--ntasks-per-node {devices} to the job."
        )


def _number(name: str) -> int | None:
    """Returns a number of the environment, or None without a plain one."""
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else None
