"""Decoders that die: each costs its own video, and the others go on."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lightly_marlin.features import extract_video
from lightly_marlin.models import MarlinEncoder, create_marlin_encoder

RECIPE = Path(__file__).parents[2] / "recipes" / "extract_features.py"

# Worker processes import the program again, and with it the decoder that dies.
PROGRAM = f"""
import os, runpy, signal, sys
from lightly_marlin.video import VideoReader

decode = VideoReader._decode

def dying(self):
    for index, frame in enumerate(decode(self)):
        kind = self.path.stem
        if kind == "dies_at_once" or (kind == "dies_later" and index == 50):
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "crashes" and index == 3:
            os.kill(os.getpid(), signal.SIGSEGV)
        if kind == "breaks" and index == 40:
            raise MemoryError("of\\nthe decoder")
        yield frame

VideoReader._decode = dying
if __name__ == "__main__":
    sys.exit(runpy.run_path({str(RECIPE)!r})["main"](sys.argv[1:]))
"""

REASONS = {
    "dies_at_once": "its worker process was ended by SIGKILL, perhaps out of memory",
    "dies_later": "its worker process was ended by SIGKILL, perhaps out of memory",
    "crashes": "its worker process was ended by SIGSEGV",
    "breaks": "unexpected MemoryError: of",
}


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    encoder = create_marlin_encoder("marlin_vit_tiny", img_size=32)
    encoder.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def run(tmp_path, *arguments, python=sys.executable):
    """Runs the recipe with the decoder; returns the process."""
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [python, str(tmp_path / "program.py"), *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=240
    )


@pytest.mark.parametrize("options", [[], ["--workers", "1"]])
def test_the_others_go_on(options, save, make_frames, weights, tmp_path, warm_python):
    for name in ("a", "z", *REASONS):
        save(f"videos/{name}.mkv", make_frames(70, seed=len(name)))
    out = tmp_path / "out"
    arguments = ("videos", out, "--weights", weights, "--batch-size", 4, *options)
    done = run(tmp_path, *arguments, python=warm_python)
    assert done.returncode == 0, done.stderr
    # As one line each, and nothing but them: no traceback of a worker.
    for name, reason in REASONS.items():
        assert f"{name}.mkv: {reason}\n" in done.stdout
    assert done.stderr == ""
    report = json.loads((out / "report.json").read_text())
    failed = {v["source"]: v for v in report["videos"] if v["status"] == "failed"}
    assert {n: v["reason"] for n, v in failed.items()} == {
        f"{name}.mkv": reason for name, reason in REASONS.items()
    }
    assert sorted(path.name for path in out.glob("*.npy")) == ["a.npy", "z.npy"]
    encoder = MarlinEncoder.from_pretrained(weights).eval()
    expected = extract_video(encoder, tmp_path / "videos" / "a.mkv")
    found = torch.from_numpy(np.load(out / "a.npy"))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_without_workers_it_ends_the_run_and_the_next_one_goes_on(
    save, make_frames, weights, tmp_path, warm_python
):
    for name in ("a", "dies_later", "z"):
        save(f"videos/{name}.mkv", make_frames(70))
    arguments = ("videos", "out", "--weights", weights)
    assert run(tmp_path, *arguments, "--workers", 0).returncode == -9
    assert [p.name for p in (tmp_path / "out").glob("*.npy")] == ["a.npy"]
    done = run(tmp_path, *arguments, "--workers", 1, python=warm_python)
    assert done.returncode == 0, done.stderr
    assert REASONS["dies_later"] in done.stdout
    assert [p.name for p in (tmp_path / "out").glob("z.npy")] == ["z.npy"]
