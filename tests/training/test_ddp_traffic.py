"""What two processes send to each other in a step: every gradient once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lightly_marlin.demo import demo_store

PROGRAM = Path(__file__).with_name("ddp_traffic.py")
STEPS = 4


@pytest.mark.slow
def test_every_gradient_is_sent_once(tmp_path):
    demo_store(tmp_path / "store", num_clips=2, num_frames=20)
    objectives = "pixels=1 adversarial=0.01"
    command = [sys.executable, PROGRAM, tmp_path / "store", tmp_path, objectives]
    subprocess.run([str(part) for part in command], check=True, timeout=300)
    first, second = (
        json.loads((tmp_path / f"traffic-{rank}.json").read_text()) for rank in (0, 1)
    )
    sizes = first["sizes"]
    assert sum(first["buckets"]) == STEPS * sizes["model"]
    # The critic's as one tensor; every other step the three losses that are logged.
    expected = [sizes["critic"], sizes["critic"], 3 * 4] * 2
    assert first["reductions"] == expected
    # Both have seen clips of their own, and have the same weights.
    assert first["losses"][0] != second["losses"][0]
    assert first["losses"][1] == second["losses"][1]
    assert first["weights"] == second["weights"]
