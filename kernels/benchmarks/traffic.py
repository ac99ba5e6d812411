"""Bytes that an operation must move, and the time that this takes at best.

Every input is read once and every output is written once; indices (8 bytes a token) and
what is smaller are left out. A row of a patch of 16 uint8 pixels is 16 bytes, while a
GPU reads sectors of 32: a token whose neighbour is not read costs up to twice its
pixels, so the share of the bandwidth that counts is a lower bound there.
"""

from __future__ import annotations

from lightly_marlin.kernels.benchmarks.workload import Workload

__all__ = ["OPERATIONS", "expected_microseconds", "minimal_bytes"]

OPERATIONS = (
    "gather_tubelets",
    "gather_tokens",
    "gather_tokens, backward",
    "assemble_decoder_tokens",
    "assemble_decoder_tokens, backward",
    "masked_reconstruction_loss",
    "masked_reconstruction_loss, backward",
)


def minimal_bytes(
    operation: str, workload: Workload, batch_size: int, item_size: int
) -> tuple[int, int]:
    """Returns the bytes read and the bytes written.

    Args:
        operation: One of `OPERATIONS`. The backward of `assemble_decoder_tokens` is
            that of a mask token; visible tokens get a view. The forward of the loss
            writes what becomes the gradient, and its backward moves nothing if the
            loss is a plain mean in float32 or bfloat16 that nothing scales.
        workload: Sizes of the clips and the model.
        batch_size: Clips B.
        item_size: Bytes of a token's number, 2 or 4; clips are uint8, and positional
            embeddings have the dtype of the tokens.

    Raises:
        ValueError: If `operation` is another word.
    """
    w = workload
    visible = batch_size * w.num_visible
    masked = batch_size * w.num_masked
    everything = batch_size * w.num_tokens
    wide, narrow = w.encoder_dim * item_size, w.decoder_dim * item_size
    table = w.num_tokens
    if operation == "gather_tubelets":
        return visible * w.num_pixels, visible * w.num_pixels * item_size
    if operation == "gather_tokens":
        return (visible + table) * wide, visible * wide
    if operation == "gather_tokens, backward":
        return visible * wide, everything * wide
    if operation == "assemble_decoder_tokens":
        return (visible + table) * narrow, everything * narrow
    if operation == "assemble_decoder_tokens, backward":
        return masked * narrow, narrow
    if operation == "masked_reconstruction_loss":
        pred = masked * w.num_pixels * item_size
        return pred + masked * w.num_pixels, pred
    if operation == "masked_reconstruction_loss, backward":
        return 0, 0
    raise ValueError(
        f"Invalid operation ({operation!r}). Supported values are "
        f"{', '.join(repr(name) for name in OPERATIONS)}."
    )


def expected_microseconds(num_bytes: int, gigabytes_per_second: float) -> float:
    """Returns the time that moving so many bytes takes, launches left out."""
    return num_bytes / gigabytes_per_second / 1e3
