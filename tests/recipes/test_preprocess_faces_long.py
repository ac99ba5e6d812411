"""Memory of the recipe on a video of an hour."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from lightly_marlin.demo.clips import demo_clips
from lightly_marlin.video import write_video

RECIPE = Path(__file__).parents[2] / "recipes" / "preprocess_faces.py"

needs_proc = pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="reads memory from /proc"
)


def make_long_video(path, minutes):
    """A portrait that talks, 480x360, 25 frames a second; nothing is encoded twice."""
    (clip,) = demo_clips(1, 30, (360, 480))
    # There and back, so that there is no cut where the copies meet.
    write_video(path.with_name("short.mp4"), [*clip.frames, *clip.frames[::-1]])
    with av.open(str(path.with_name("short.mp4"))) as short:
        packets = [packet for packet in short.demux(video=0) if packet.size]
        data = [(bytes(packet), packet.pts, packet.dts) for packet in packets]
        source = short.streams.video[0]
        length = sum(packet.duration for packet in packets)
        with av.open(str(path), "w") as long:
            stream = long.add_stream_from_template(source)
            for number in range(minutes * 60 * 25 // len(data)):
                for index, (content, pts, dts) in enumerate(data):
                    packet = av.Packet(content)
                    packet.stream, packet.time_base = stream, source.time_base
                    packet.pts, packet.dts = (
                        pts + number * length,
                        dts + number * length,
                    )
                    packet.is_keyframe = packets[index].is_keyframe
                    long.mux(packet)


def peak_of_session(session):
    """Largest peak of resident memory of a session's processes so far, in MB."""
    peak = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) != session:
                continue
            text = (folder / "status").read_text()
        except OSError:
            continue
        lines = [line for line in text.splitlines() if line.startswith("VmHWM")]
        peak = max([peak, *(int(line.split()[1]) / 1024 for line in lines)])
    return peak


def prepare_and_watch(video, store):
    """Runs the recipe with one worker; returns the peak of its processes in MB."""
    command = [sys.executable, str(RECIPE), str(video), str(store), "--workers", "1"]
    process = subprocess.Popen(command, start_new_session=True)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, peak_of_session(process.pid))
        time.sleep(0.05)
    assert process.returncode == 0
    return peak


@needs_proc
@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path):
    peaks = {}
    for minutes in (1, 60):
        video, store = tmp_path / f"{minutes}.mp4", tmp_path / f"store_{minutes}"
        make_long_video(video, minutes)
        peaks[minutes] = prepare_and_watch(video, store)
        totals = json.loads((store / "report.json").read_text())["totals"]
        assert (totals["frames"], totals["ok"]) == (minutes * 1500, 1)
    assert peaks[60] < 1536
    # Landmarks and boxes of 90,000 frames, a few copies of them; no frames.
    assert peaks[60] - peaks[1] < 500
