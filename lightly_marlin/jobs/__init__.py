"""Jobs in worker processes, and the ledger of those that are finished."""

from __future__ import annotations

from lightly_marlin.jobs.ledger import Ledger
from lightly_marlin.jobs.record import JobRecord
from lightly_marlin.jobs.summary import JobSummary
from lightly_marlin.jobs.worker_pool import (
    JobFailure,
    report_progress,
    run_jobs,
    stream_jobs,
)

__all__ = [
    "JobFailure",
    "JobRecord",
    "JobSummary",
    "Ledger",
    "report_progress",
    "run_jobs",
    "stream_jobs",
]
