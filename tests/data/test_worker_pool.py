import os
import signal
import sys
import types

import pytest

from lightly_marlin.data.worker_pool import JobFailure, run_jobs

# Workers import functions by name, so the jobs are expressions for a built-in one.
KILL = "__import__('os').kill(__import__('os').getpid(), 11)"


def run(jobs, num_workers):
    return dict(run_jobs(eval, jobs, num_workers))


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


def test_run_jobs_nothing_to_do():
    assert run([], 3) == {}


def test_run_jobs_worker_cannot_start(monkeypatch):
    module = types.ModuleType("only_here")
    exec("def function(job): return job", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(RuntimeError, match="Worker processes cannot start"):
        list(run_jobs(module.function, ["1"], 1))
