"""Memory of features of a long video: bounded by the windows in flight, not by it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from lightly_marlin.video import write_video

SCRIPT = """
import json, sys
import numpy as np
import torch
from lightly_marlin.evaluation import LabelTable, Target, item_features
from lightly_marlin.models import create_marlin_encoder

def peak():
    with open("/proc/self/status") as file:
        return next(int(row.split()[1]) for row in file if "VmHWM" in row) * 1024

torch.set_num_threads(1)
folder, seconds = sys.argv[1], int(sys.argv[2])
sizes = {"img_size": 96, "encoder_dim": 24, "encoder_depth": 1, "encoder_num_heads": 2}
encoder = create_marlin_encoder("marlin_vit_tiny", **sizes).eval()
options = {"whole_frames": True, "sample_rate": 1, "stride": 15, "tokens": True}

def features_of(video, end):
    table = LabelTable.make(
        Target("binary", ("smile",)),
        [video] * end,
        (torch.arange(end) % 2)[:, None].float(),
        items=[str(second) for second in range(end)],
        starts=np.arange(float(end)),
        ends=np.arange(float(end)) + 1,
    )
    return item_features(encoder, table, folder, cache=f"{folder}/cache", **options)

# What a short video takes is there before: libraries, buffers, a batch.
features_of("short.mp4", 20)
before = peak()
found = features_of("long.mp4", seconds)
shape, size = list(found.features.shape), found.features.element_size()
print(json.dumps({"shape": shape, "size": size, "grown": peak() - before}))
"""

SECONDS = 600


@pytest.fixture
def videos(tmp_path):
    """A video of ten minutes and one of twenty seconds, of noise that moves."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 192, 3)).astype(np.uint8)
    for name, seconds in (("short", 20), ("long", SECONDS)):
        frames = (noise[:, i % 96 : i % 96 + 96] for i in range(25 * seconds))
        options = {"crf": "40", "preset": "ultrafast"}
        write_video(tmp_path / f"{name}.mp4", frames, 25.0, options=options)
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of Linux")
@pytest.mark.slow
def test_memory_does_not_grow_with_the_video(videos):
    command = [sys.executable, "-c", SCRIPT, str(videos), str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    # 15,000 frames, a window at every 15th, each in the item of its second.
    rows, *rest = found["shape"]
    assert rows == 1000
    assert rest == [72, 24]
    features = int(np.prod(found["shape"])) * found["size"]
    # The frames would be 415 MB, the windows 442 MB.
    assert found["grown"] < features + 40e6
