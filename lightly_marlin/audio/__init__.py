"""Sound of videos: reader, mel spectrogram of Wav2Lip, MFCC of SyncNet."""

from __future__ import annotations

from lightly_marlin.audio.reader import AudioError, read_audio
from lightly_marlin.audio.syncnet_mfcc import mfcc
from lightly_marlin.audio.wav2lip_mel import mel_spectrogram

__all__ = ["AudioError", "mel_spectrogram", "mfcc", "read_audio"]
