import os
import sys

import pytest

from lightly_marlin.utils.scheduling import keep_scheduling

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="restores on Linux")


def change():
    """Makes the thread one of batch jobs, which needs no rights."""
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def test_keep_scheduling__restores_what_was_changed():
    before = os.sched_getscheduler(0)
    assert before != os.SCHED_BATCH
    with keep_scheduling():
        change()
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == before


def test_keep_scheduling__after_an_error_too():
    def fail():
        with keep_scheduling():
            change()
            raise ValueError("no")

    before = os.sched_getscheduler(0)
    with pytest.raises(ValueError, match="no"):
        fail()
    assert os.sched_getscheduler(0) == before
