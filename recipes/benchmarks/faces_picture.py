"""README's picture of the faces that preparation finds in a demo clip.

    python recipes/benchmarks/faces_picture.py

Writes a demo clip as a video, runs `recipes/visualize_faces.py` on it, and saves the
sheet, at a readable size, as results/faces.png.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from lightly_marlin.demo.clips import demo_clips
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.video import write_video

RECIPE = Path(__file__).parents[1] / "visualize_faces.py"
RESULTS = Path(__file__).parent / "results"
NUM_CLIPS = 4
NUM_FRAMES = 64
WIDTH = 900


def main() -> None:
    """Makes the clip, the sheet and the picture."""
    parser = argparse.ArgumentParser(description="Draw the README's picture of faces.")
    parser.add_argument("--results", type=Path, default=RESULTS)
    results: Path = parser.parse_args().results
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        # The last one has another light and another background.
        *_, clip = demo_clips(NUM_CLIPS, NUM_FRAMES)
        video = Path(work) / f"{clip.name}.mp4"
        write_video(video, clip.frames, clip.fps)
        command = [sys.executable, str(RECIPE), str(video), work, "--workers", "1"]
        subprocess.run(command, check=True)
        with Image.open(Path(work) / f"{video.name}.png") as sheet:
            size = (WIDTH, round(sheet.height * WIDTH / sheet.width))
            small = sheet.resize(size, Image.Resampling.LANCZOS)
    with atomic_write(results / "faces.png") as temporary:
        small.quantize(256, Image.Quantize.FASTOCTREE).save(temporary, optimize=True)
    console.print(f"The picture is {results / 'faces.png'}", markup=False)


if __name__ == "__main__":
    main()
