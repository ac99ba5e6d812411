"""Validation of a generator in training: scores, pictures, and a clip to listen to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.lip_sync.dubbing.dub_video import DUBBED_NOTE
from lightly_marlin.lip_sync.dubbing.lip_stream import AnyGenerator, generate_lips
from lightly_marlin.lip_sync.frame_rate import FPS
from lightly_marlin.lip_sync.generation.lip_clips import FixedLipClips
from lightly_marlin.lip_sync.generation.lip_scores import (
    LipScores,
    StillMouths,
    score_lips,
)
from lightly_marlin.lip_sync.networks.generator_tensors import MEL_STEPS
from lightly_marlin.lip_sync.networks.lower_half import mask_lower_half
from lightly_marlin.lip_sync.pairs.track_windows import (
    SAMPLES_PER_FRAME,
    track_frames,
    track_length,
    track_sounds,
)
from lightly_marlin.training.every_steps import EverySteps
from lightly_marlin.training.run_folder import MetricsCsv
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.video import write_video
from lightly_marlin.visualization import film_strip

__all__ = ["VALIDATION_COLUMNS", "LipSyncValidation"]

VALIDATION_COLUMNS = ("step", *LipScores._fields)

_SHOWN_FRAMES = 100
"""Frames of the clip at most: four seconds."""

_SHOWN_SIZE = 192
"""Height and width of a face in the clip, in pixels."""


class LipSyncValidation(EverySteps):
    """Scores the generator on the same clips every n steps, shows one, and saves it.

    The sync loss on these clips decides when that of the training is switched on.

    Args:
        folder: Folder of the run. validation.csv gets a row, pictures/ a film strip of
            the first track, clips/ the same as a video with its sound, and generator/
            the weights.
        clips: Clips that are held out.
        batch_size: Clips that are generated at once.
        every: Steps between two validations; the last step is always validated.
    """

    def __init__(
        self, folder: Path, clips: FixedLipClips, *, batch_size: int, every: int
    ) -> None:
        super().__init__(every)
        self.folder = folder
        self.csv = MetricsCsv(folder / "validation.csv", VALIDATION_COLUMNS)
        self.clips = clips
        self.batch_size = batch_size
        self._still: StillMouths | None = None

    def on_train_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Drops rows of a killed run that are going to be written again."""
        self.csv.truncate(trainer.global_step)

    def on_due(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes a row, the pictures and the weights."""
        module: Any = pl_module
        generator = module.generator
        self._still = self._still or StillMouths(self.clips, generator.size)
        loss = module.sync_loss
        expert = None if loss is None else loss.expert
        step = trainer.global_step
        with trainer.precision_plugin.forward_context():
            clip_scores = score_lips(
                generator, self.clips, self._still, expert, batch_size=self.batch_size
            )
            shown = self._talk(generator)
        scores = LipScores.of(clip_scores)
        self.csv.append({"step": step, **scores._asdict()})
        module.sync_weight.update(scores.sync_loss)
        self._write_pictures(step, *shown)
        generator.save_pretrained(self.folder / "generator")

    def _talk(self, generator: AnyGenerator) -> tuple[Tensor, Tensor]:
        """Returns the start of the first track, and it with generated lips.

        Returns:
            uint8 tensors (3, T, S, S), S the generator's size.
        """
        track = self.clips.tracks[0]
        count = min(track_length(track), _SHOWN_FRAMES)
        crops = fit_frames(track_frames(track, 0, count), self.clips.sizes.size)
        frames = crops.permute(1, 2, 3, 0).numpy()
        sounds = track_sounds(track, 0, count, MEL_STEPS)
        # As in dubbing, the reference is one frame; here not the one that is drawn.
        drawn = generate_lips(
            generator, frames, count, frames[-1], lambda at: sounds[list(at)]
        )
        generated = torch.from_numpy(np.stack(list(drawn))).permute(3, 0, 1, 2)
        return fit_frames(crops, generator.size), generated

    def _write_pictures(self, step: int, real: Tensor, generated: Tensor) -> None:
        pictures, videos = self.folder / "pictures", self.folder / "clips"
        for folder in (pictures, videos):
            folder.mkdir(exist_ok=True)
        rows = {"real": real, "masked": mask_lower_half(real), "generated": generated}
        strip = film_strip({n: x.permute(1, 2, 3, 0) for n, x in rows.items()})
        with atomic_write(pictures / f"step_{step:07d}.png") as temporary:
            strip.save(temporary)
        samples = real.shape[1] * SAMPLES_PER_FRAME
        faces = [fit_frames(row, _SHOWN_SIZE) for row in rows.values()]
        write_video(
            videos / f"step_{step:07d}.mp4",
            torch.cat(faces, dim=-1).permute(1, 2, 3, 0).contiguous().numpy(),
            FPS,
            audio=self.clips.tracks[0].read_audio(0, samples),
            metadata={"comment": DUBBED_NOTE},
        )
