import os
import signal
import sys
import types

import pytest

from lightly_marlin.data.worker_pool import JobFailure, run_jobs

# Workers import functions by name, so the jobs are expressions for a built-in one.
KILL = "__import__('os').kill(__import__('os').getpid(), 11)"


BEAT = "__import__('lightly_marlin.data.worker_pool').data.worker_pool.report_progress"


def run(jobs, num_workers, **options):
    return dict(run_jobs(eval, jobs, num_workers, **options))


class DiesOnArrival:
    """Becomes `eval` in the first worker that unpickles it; the others die of it."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return eval, (f"__import__('os').mkdir({self.mark!r}) or eval",)


def test_run_jobs_in_this_process():
    results = run(["1 + 1", "1 / 0"], 0)
    assert results["1 + 1"] == 2
    assert results["1 / 0"] == JobFailure(
        "unexpected ZeroDivisionError: division by zero"
    )


def test_run_jobs_in_workers():
    jobs = ["__import__('os').getpid()", "1 / 0", KILL, "__import__('os')._exit(3)"]
    jobs += ["__import__('os').environ['OMP_NUM_THREADS']"]
    results = run(jobs, 1)
    assert results[jobs[0]] != os.getpid()
    assert "ZeroDivisionError" in results[jobs[1]].reason
    assert results[KILL] == JobFailure("its worker process was ended by SIGSEGV")
    assert results[jobs[3]] == JobFailure("its worker process ended with status 3")
    assert results[jobs[4]] == "1"


def test_run_jobs_takes_jobs_one_by_one():
    taken = []

    def jobs():
        for number in range(100):
            taken.append(number)
            yield f"{number}"

    iterator = run_jobs(eval, jobs(), 2)
    assert next(iterator)[1] in (0, 1)
    iterator.close()
    assert len(taken) <= 4


def test_run_jobs_out_of_memory_hint():
    kill = KILL.replace("11", str(int(signal.SIGKILL)))
    assert "perhaps out of memory" in run([kill], 1)[kill].reason


def test_run_jobs_reasons_are_one_line():
    raising = "(_ for _ in ()).throw(ValueError('first\\nsecond'))"
    job = f"next({raising})"
    assert run([job, "int([])"], 0)[job] == JobFailure("unexpected ValueError: first")
    empty = "next(iter(()))"
    assert run([empty], 0)[empty] == JobFailure("unexpected StopIteration")


def test_run_jobs_without_progress():
    stuck = "__import__('time').sleep(60)"
    # Slower than the limit in all, but it says that it goes on.
    slow = f"[({BEAT}(), __import__('time').sleep(1.1)) for _ in range(3)] and 7"
    results = run([stuck, slow, "1"], 1, stall_seconds=2.4)
    assert results[stuck] == JobFailure("no progress for 0.04 minutes")
    assert (results[slow], results["1"]) == (7, 1)


def test_report_progress_does_nothing_in_this_process():
    assert run([f"{BEAT}() or 3"], 0) == {f"{BEAT}() or 3": 3}


def test_run_jobs_one_worker_cannot_start(tmp_path):
    """Of two workers one dies while it starts: the other one still works."""
    jobs = ["__import__('time').sleep(2) or 1", "2"]
    results = run_jobs(DiesOnArrival(str(tmp_path / "mark")), jobs, 2)
    results = sorted(str(result) for _, result in results)
    assert len(results) == 2
    assert results[0] in ("1", "2")
    assert "status 1 while it started" in results[1]


def test_run_jobs_nothing_to_do():
    assert run([], 3) == {}


def test_run_jobs_worker_cannot_start(monkeypatch):
    module = types.ModuleType("only_here")
    exec("def function(job): return job", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(RuntimeError, match="Worker processes cannot start"):
        list(run_jobs(module.function, ["1"], 1))
