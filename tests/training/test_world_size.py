"""A run that goes on with another number of devices is the same run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightly_marlin.demo import demo_store

PROGRAM = Path(__file__).with_name("noted_steps.py")


def train(store, out, devices, steps):
    command = [sys.executable, PROGRAM, store, out, devices, steps]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [str(part) for part in command], check=True, timeout=300, env=environment
    )


def lines(out, pattern):
    paths = sorted((out / "run").glob(pattern))
    return [json.loads(line) for path in paths for line in path.open()]


@pytest.mark.slow
def test_one_process_in_the_middle_of_a_run_of_two(tmp_path):
    """Two steps each: the clips and masks of an uninterrupted run on one device."""
    store, one, mixed = (tmp_path / name for name in ("store", "one", "mixed"))
    demo_store(store, num_clips=5, num_frames=20)
    train(store, one, 1, 6)
    for devices, steps in ((2, 2), (1, 4), (2, 6)):
        train(store, mixed, devices, steps)
    expected = lines(one, "steps-*")
    assert [line["position"] for line in expected] == [*range(12)]
    assert len({line["mask"][0] for line in expected}) == 12
    assert len({(line["track"], line["start"]) for line in expected}) > 5
    found = lines(mixed, "steps-*")
    assert sorted(found, key=lambda line: line["position"]) == expected

    whole = lines(one, "losses-*")
    first, last = lines(mixed, "losses-2-0*")[:2], lines(mixed, "losses-2-0*")[2:]
    parts = [*first, *lines(mixed, "losses-1-0*"), *last]
    assert len(parts) == 6
    for name in ("loss/reconstruction", "loss/discriminator"):
        values = [[line[name] for line in run] for run in (whole, parts)]
        assert values[0] == pytest.approx(values[1], rel=2e-3, abs=2e-3)
