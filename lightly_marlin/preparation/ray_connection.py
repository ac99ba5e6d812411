"""Connection to a Ray cluster, or one of this machine, found out in half a minute."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightly_marlin.utils.cores import available_cores
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError, first_line

__all__ = ["PURPOSE", "connected"]

PURPOSE = "Preparing on a Ray cluster"

_CONNECT_SECONDS = 30.0

# Ray itself tries to connect for minutes, without end for some addresses.
_PROBE = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False)"


@contextmanager
def connected(address: str | None, num_cpus: int) -> Iterator[None]:
    """Connects to a cluster for a block, unless the program is connected already.

    Args:
        address: Address of the cluster; None for that of the variable RAY_ADDRESS, or
            else for one that is begun on this machine and ends with the block.
        num_cpus: CPUs that a cluster which is begun here has at least.

    Raises:
        UsageError: If the cluster cannot be reached.
    """
    # Set before the import, which reads them; what a user has set stays.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = require("ray", PURPOSE)
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or None
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        options |= {
            "address": "local",
            "num_cpus": max(num_cpus, available_cores()),
            "include_dashboard": False,
        }
    else:
        _check_reachable(address)
        options["address"] = address
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _unreachable(address or "of this machine", first_line(error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raises UsageError if a cluster cannot be reached in time, found by a process."""
    if address.startswith("ray://"):
        raise UsageError(
            f"The address {address} is one of Ray Client, which is not supported. Run "
            "this on a node of the cluster with --address auto, or submit it: "
            "ray job submit -- python ..."
        )
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, address],
            capture_output=True,
            text=True,
            timeout=_CONNECT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        reason = f"no answer within {_CONNECT_SECONDS:g} seconds"
        raise _unreachable(address, reason) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it refused"]
        raise _unreachable(address, lines[-1].partition(": ")[2] or lines[-1])


def _unreachable(address: str, reason: str) -> UsageError:
    return UsageError(
        f"The Ray cluster {address} cannot be reached: {reason.rstrip('.')}. Check the "
        "address, start one with `ray start --head`, or leave out --address to work on "
        "this machine alone."
    )
