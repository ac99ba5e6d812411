"""Sound of videos: reader, mel spectrogram of Wav2Lip, MFCC of SyncNet."""

from __future__ import annotations

from lightly_marlin.audio.mel_spectrogram import mel_spectrogram
from lightly_marlin.audio.mfcc import mfcc
from lightly_marlin.audio.reader import AudioError, read_audio

__all__ = ["AudioError", "mel_spectrogram", "mfcc", "read_audio"]
