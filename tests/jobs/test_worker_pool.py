import os
import signal
import sys
import time
import types

import pytest

from lightly_marlin.jobs.worker_pool import (
    JobEnd,
    JobFailure,
    run_jobs,
    stream_jobs,
)

# Workers import functions by name, so the jobs are expressions for a built-in one.
KILL = "__import__('os').kill(__import__('os').getpid(), 11)"


BEAT = "__import__('lightly_marlin.jobs.worker_pool').jobs.worker_pool.report_progress"


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


def stream(jobs, num_workers, **options):
    """Returns the items of every job, its end last."""
    found = {job: [] for job in jobs}
    for job, item in stream_jobs(eval, jobs, num_workers, **options):
        found[job].append(item)
    return found


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_stream_jobs_gives_all_items_in_order(num_workers):
    jobs = ["range(50)", "()", "(bytes(10**6) for _ in range(3))", "1 / 0", "5"]
    jobs += ["(1 / (2 - i) for i in range(9))"]
    found = stream(jobs, num_workers)
    assert found["range(50)"] == [*range(50), JobEnd()]
    assert found["()"] == [JobEnd()]
    assert found[jobs[2]] == [bytes(10**6)] * 3 + [JobEnd()]
    reason = "unexpected ZeroDivisionError: division by zero"
    assert found["1 / 0"] == [JobEnd(JobFailure(reason))]
    assert "TypeError" in found["5"][0].failure.reason
    # What came before is not lost.
    assert found[jobs[5]][:2] == [0.5, 1]
    assert "ZeroDivisionError" in found[jobs[5]][2].failure.reason


@pytest.mark.parametrize("size", [1, 10**6])
def test_stream_jobs_when_a_worker_dies_at_its_job(size):
    dying = f"(bytes({size}) if i < 2 else {KILL} for i in range(9))"
    jobs = ["range(3)", dying, "range(4)"]
    found = stream(jobs, 1)
    assert found["range(3)"] == [0, 1, 2, JobEnd()]
    failure = JobFailure("its worker process was ended by SIGSEGV")
    assert found[dying] == [bytes(size)] * 2 + [JobEnd(failure)]
    assert found["range(4)"] == [0, 1, 2, 3, JobEnd()]


def test_stream_jobs_waits_until_items_are_taken(tmp_path):
    """A worker is at most what fits into its pipe ahead of who reads."""
    note = f"open({str(tmp_path / 'made')!r}, 'a').write('x')"
    job = f"(({note}, bytes(10**7)) for _ in range(20))"
    items = stream_jobs(eval, [job], 1)
    for _ in range(3):
        next(items)
    time.sleep(1)
    assert len((tmp_path / "made").read_text()) <= 4
    items.close()


def test_stream_jobs_does_not_count_time_in_which_nobody_asks():
    items = stream_jobs(eval, ["(bytes(10**7) for _ in range(3))"], 1, stall_seconds=1)
    next(items)
    time.sleep(3)
    assert [item for _, item in items][-1] == JobEnd()


def test_stream_jobs_without_progress():
    stuck = "(__import__('time').sleep(60) for _ in range(2))"
    slow = "(__import__('time').sleep(0.4) for _ in range(9))"
    found = stream([stuck, slow], 1, stall_seconds=2.4)
    assert found[stuck] == [JobEnd(JobFailure("no progress for 0.04 minutes"))]
    assert found[slow] == [None] * 9 + [JobEnd()]


def test_closing_a_stream_ends_its_workers_quietly(capfd):
    job = "[__import__('os').getpid()] + [bytes(10**7)] * 5"
    items = stream_jobs(eval, [job], 1)
    pid = next(items)[1]
    time.sleep(0.3)
    items.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert capfd.readouterr().err == ""


def test_stream_jobs_when_a_worker_dies_while_it_sends():
    late = f"__import__('threading').Timer(0.5, lambda: {KILL}).start()"
    job = f"(({late} if i == 1 else None, bytes(10**7)) for i in range(3))"
    items = stream_jobs(eval, [job, "range(2)"], 1)
    next(items)
    # The second item is half in the pipe when its sender is ended.
    time.sleep(1.5)
    reason = "its worker process was ended by SIGSEGV"
    assert [item for _, item in items] == [JobEnd(JobFailure(reason)), 0, 1, JobEnd()]
