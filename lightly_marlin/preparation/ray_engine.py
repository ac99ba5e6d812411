"""Ray engine of preparation: a task per shard, wherever the cluster has room.

Tasks of Ray core rather than Ray Data, which repeats without end a row whose process
dies. Within a task the usual pool works, so a video that crashes its worker costs
itself, not the task; the death of a node costs the task, whose next attempt takes up
what is finished, on the same disk.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from lightly_marlin.preparation.prepare_files import Preparation, PreparationSummary
from lightly_marlin.preparation.prepare_shard import (
    Shard,
    join_summaries,
    prepare_shard,
)
from lightly_marlin.preparation.ray_connection import PURPOSE, connected
from lightly_marlin.store.sharding import StoreLayout
from lightly_marlin.utils.console import console, one_line, progress
from lightly_marlin.utils.dependency import require, require_extras
from lightly_marlin.utils.errors import UsageError, first_line

__all__ = ["ShardsFailedError", "prepare_shards_on_ray"]

_POLL_SECONDS = 1.0
_REPORT_SECONDS = 1.0

# A killed attempt holds its lock until its last process is gone.
_LOCK_SECONDS = 60.0


class ShardsFailedError(RuntimeError):
    """Error for shards that failed on the cluster; the others are finished.

    Attributes:
        reasons: Reason of each failed shard, by number.
    """

    def __init__(self, reasons: Mapping[int, str]) -> None:
        """Takes the reasons by the shard's number."""
        self.reasons = dict(reasons)
        lines = (f"Shard {number}: {why}" for number, why in sorted(reasons.items()))
        super().__init__("\n".join(lines))


def prepare_shards_on_ray(
    preparation: Preparation,
    shards: Sequence[Shard],
    *,
    address: str | None,
    retries: int,
) -> PreparationSummary:
    """Prepares shards on a Ray cluster, each as a task.

    Args:
        preparation: The preparation; its workers are the CPUs that a task asks for.
        shards: The shards with their videos, of a store that all nodes see.
        address: Address of the cluster; None for that of the variable RAY_ADDRESS, or
            else for one that is begun here and ends with this call. A program that is
            connected already stays so.
        retries: Attempts at a shard after its process or node died.

    Returns:
        The outcome of all videos.

    Raises:
        MissingExtraError: If the extra `ray` is not installed.
        UsageError: If the cluster cannot be reached.
        ShardsFailedError: If shards failed; the others are finished.
    """
    require_extras(PURPOSE, "ray")
    started = time.monotonic()
    with connected(address, preparation.num_workers):
        summaries, reasons = _run_tasks(preparation, shards, retries)
    if reasons:
        raise ShardsFailedError(reasons)
    return join_summaries(summaries, time.monotonic() - started)


def _run_tasks(
    preparation: Preparation, shards: Sequence[Shard], retries: int
) -> tuple[list[PreparationSummary], dict[int, str]]:
    """Returns the summaries of finished shards, and the reasons of failed ones."""
    ray = require("ray", PURPOSE)
    counts = _start_counts()
    task = ray.remote(_prepare_task).options(
        num_cpus=preparation.num_workers,
        max_retries=retries,
        # An exception is final: what may pass is a record of its video.
        retry_exceptions=False,
    )
    shared = ray.put(preparation)
    running = {task.remote(shared, shard, counts): shard for shard in shards}
    summaries: list[PreparationSummary] = []
    reasons: dict[int, str] = {}
    _tell_room(preparation.num_workers)
    with progress() as bar:
        total = sum(len(shard.files) for shard in shards)
        line = bar.add_task("videos", total=total, unit="videos")
        try:
            while running:
                done, _ = ray.wait(list(running), timeout=_POLL_SECONDS)
                for reference in done:
                    shard = running.pop(reference)
                    try:
                        summaries.append(ray.get(reference))
                    except Exception as error:
                        reasons[shard.number] = _reason(error)
                        where = f"shard {shard.number}: {reasons[shard.number]}"
                        console.print(one_line(where), markup=False, soft_wrap=True)
                # A display that fails must not end the work.
                with suppress(ray.exceptions.RayError):
                    total = ray.get(counts.total.remote(), timeout=_POLL_SECONDS)
                    bar.update(line, completed=total)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)
    return summaries, reasons


def _start_counts() -> Any:
    """Starts the actor that adds up the progress, on this node, where it is read."""
    ray = require("ray", PURPOSE)
    strategies = require("ray.util.scheduling_strategies", PURPOSE)
    here = strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    return ray.remote(_Counts).options(num_cpus=0, scheduling_strategy=here).remote()


class _Counts:
    """Numbers of finished videos by shard; an actor."""

    def __init__(self) -> None:
        """Begins with none."""
        self._counts: dict[int, int] = {}

    def update(self, shard: int, count: int) -> None:
        """Takes the number of a shard; a repeated shard begins anew."""
        self._counts[shard] = count

    def total(self) -> int:
        """Returns the number of all finished videos."""
        return sum(self._counts.values())


def _prepare_task(
    preparation: Preparation, shard: Shard, counts: Any
) -> PreparationSummary:
    """Prepares a shard; runs on a node of the cluster."""
    if StoreLayout.read(shard.layout.path) != shard.layout:
        raise UsageError(
            f"The node {platform.node()} does not see the store "
            f"{shard.layout.path}. Name a folder on a disk that all nodes share, or a "
            "URL."
        )
    return prepare_shard(
        preparation,
        shard,
        _counter(shard.number, counts),
        lock_seconds=_LOCK_SECONDS,
    )


def _counter(shard: int, counts: Any) -> Callable[[int], None]:
    """Returns the function that reports progress to the actor, now and then."""
    done, last = 0, -_REPORT_SECONDS

    def report(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= _REPORT_SECONDS:
            last = now
            counts.update.remote(shard, done)

    return report


def _tell_room(num_cpus: int) -> None:
    """Says so if no node could ever run a task; an autoscaler may still add one."""
    ray = require("ray", PURPOSE)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(node.get("CPU", 0) >= num_cpus for node in nodes):
        console.print(
            f"No node of the cluster has {num_cpus} CPUs now; waiting for one.",
            soft_wrap=True,
        )


def _reason(error: Exception) -> str:
    """Returns why a task failed, in one line."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, UsageError):
        return str(cause)
    if isinstance(cause, Exception):
        return f"unexpected {type(cause).__name__}: {first_line(cause)}"
    return f"its process or node died: {first_line(error)}"
