"""Writers of recordings of any kind."""

from fractions import Fraction

import av
import numpy as np
import pytest


def _planar(samples, sample_format):
    """Samples (channels, n) in [-1, 1] as values of a sample format."""
    if sample_format.startswith("u8"):
        return np.clip(np.rint(samples * 128 + 128), 0, 255).astype(np.uint8)
    if sample_format.startswith("s"):
        bits = int(sample_format[1:3])
        top = 2 ** (bits - 1)
        scaled = np.clip(np.rint(samples * top), -top, top - 1)
        return scaled.astype(f"int{bits}")
    return samples.astype({"flt": np.float32, "dbl": np.float64}[sample_format[:3]])


def _write(
    path,
    samples,
    rate=16000,
    *,
    codec="pcm_s16le",
    sample_format="s16",
    layout="mono",
    stamps=None,
    pictures=(),
    fps=25,
    first_picture=0,
):
    """Writes samples (n,) or (channels, n), and black pictures beside them.

    `stamps` gives the time stamp of a block of 1000 samples in samples, or None to
    leave it out; `first_picture` is that of the first picture, in frames.
    """
    samples = np.atleast_2d(samples)
    with av.open(str(path), "w") as container:
        video = None
        if len(pictures):
            video = container.add_stream("libx264", rate=fps)
            video.height, video.width = pictures[0].shape[:2]
            video.pix_fmt = "yuv420p"
        stream = container.add_stream(codec, rate=rate)
        stream.layout, stream.format = layout, sample_format
        packets = []
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = first_picture + index, Fraction(1, fps)
            packets += video.encode(frame)
        packets += video.encode() if video else []
        for number, begin in enumerate(range(0, samples.shape[1], 1000)):
            stamp = stamps(number, begin) if stamps else begin
            if stamp is None:
                continue
            block = _planar(samples[:, begin : begin + 1000], sample_format)
            if not sample_format.endswith("p"):
                block = block.T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(block), sample_format, layout
            )
            frame.sample_rate, frame.pts = rate, stamp
            frame.time_base = Fraction(1, rate)
            packets += stream.encode(frame)
        packets += stream.encode()
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


@pytest.fixture(scope="session")
def write_recording():
    return _write


@pytest.fixture(scope="session")
def click():
    """A second of faint noise at a rate, with a click in its middle."""

    def make(rate, seconds=1.0):
        samples = 0.001 * np.random.default_rng(0).standard_normal(int(seconds * rate))
        at = rate // 2
        # A click of 1 ms: one sample would vanish at lower rates.
        samples[at : at + max(1, rate // 1000)] = 0.9
        return samples

    return make
