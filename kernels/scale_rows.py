"""Scaling of rows in the backward pass: kept derivative times incoming gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.kernels.dispatch import require_rows, run_kernel
from lightly_marlin.kernels.tiles import row_tile
from lightly_marlin.kernels.triton_language import KERNEL_DEVICES, jit, launch, tl

__all__ = ["launch_scale_rows", "scale_rows"]

_GROUP = 64


@jit
def _load_scales(
    scale_ptr: tl.tensor,  # (B, n), any strides
    rows: tl.tensor,  # (R,) int32
    num_rows: tl.tensor,
    num_chosen: tl.tensor,
    stride_b: tl.tensor,
    stride_n: tl.tensor,
) -> tl.tensor:
    """Returns the scales (R,) of rows as float32."""
    # Divided in 32 bits, which is cheap, and multiplied in 64, which is safe.
    clips = (rows // num_chosen).to(tl.int64)
    places = (rows % num_chosen).to(tl.int64)
    first = clips * stride_b + places * stride_n
    return tl.load(scale_ptr + first, mask=rows < num_rows, other=0.0).to(tl.float32)


@jit
def _scale_rows_kernel(
    rows_ptr: tl.tensor,  # (B, n, P), contiguous
    scale_ptr: tl.tensor,  # (B, n), any strides
    out_ptr: tl.tensor,  # (B, n, P), contiguous; may be rows_ptr
    multiplier: tl.tensor,
    neutral: tl.tensor,
    num_rows: tl.tensor,
    num_chosen: tl.tensor,
    num_pixels: tl.tensor,
    scale_stride_b: tl.tensor,
    scale_stride_n: tl.tensor,
    HAS_NEUTRAL: tl.constexpr,
    GROUP: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    COLUMN_BLOCKS: tl.constexpr,
) -> None:
    """Scales GROUP rows, if any of them is to be scaled; grid (groups,)."""
    group = tl.program_id(0) * GROUP
    work = 1
    if HAS_NEUTRAL:
        # All scales first: mostly there is nothing to do, and nothing else is read.
        members = group + tl.arange(0, GROUP)
        scales = _load_scales(
            scale_ptr, members, num_rows, num_chosen, scale_stride_b, scale_stride_n
        )
        touched = (members < num_rows) & (scales != neutral)
        work = tl.max(touched.to(tl.int32), axis=0)
    if work > 0:
        for start in range(0, GROUP, ROWS):
            rows = group + start + tl.arange(0, ROWS)
            scale = _load_scales(
                scale_ptr, rows, num_rows, num_chosen, scale_stride_b, scale_stride_n
            )
            row_mask = rows < num_rows
            if HAS_NEUTRAL:
                # In place, what is left alone is not even read.
                row_mask = row_mask & (scale != neutral)
            first = rows.to(tl.int64) * num_pixels
            for block in range(COLUMN_BLOCKS):
                columns = block * COLUMNS + tl.arange(0, COLUMNS)
                mask = row_mask[:, None] & (columns < num_pixels)[None, :]
                offsets = first[:, None] + columns.to(tl.int64)[None, :]
                values = tl.load(rows_ptr + offsets, mask=mask, other=0.0)
                values = values.to(tl.float32) * (scale * multiplier)[:, None]
                values = values.to(out_ptr.dtype.element_ty)
                tl.store(out_ptr + offsets, values, mask=mask)


def launch_scale_rows(
    rows: Tensor,
    scale: Tensor,
    multiplier: float,
    neutral: float | None,
    in_place: bool,
) -> Tensor:
    """Runs the kernel.

    Args:
        rows: (B, n, P) floating point, contiguous.
        scale: (B, n) floating point.
        multiplier: Factor of all rows.
        neutral: Value of `scale` that leaves a row as it is, or None.
        in_place: Whether to overwrite `rows`; otherwise `neutral` saves nothing.

    Returns:
        rows * scale * multiplier, (B, n, P) of the dtype of `rows`; `rows` itself if
        `in_place`.
    """
    tile = row_tile(rows.shape[-1])
    out = rows if in_place else torch.empty_like(rows)
    num_rows = scale.numel()
    require_rows(num_rows)
    has_neutral = in_place and neutral is not None
    # Many rows are looked at in one go; few, where all of them are work to share out.
    group = max(tile.rows, _GROUP if has_neutral else 1)
    launch(
        _scale_rows_kernel,
        (-(-num_rows // group),),
        rows,
        scale,
        out,
        float(multiplier),
        0.0 if neutral is None else neutral,
        num_rows,
        scale.shape[1],
        rows.shape[-1],
        *scale.stride(),
        HAS_NEUTRAL=has_neutral,
        GROUP=group,
        ROWS=tile.rows,
        COLUMNS=tile.columns,
        COLUMN_BLOCKS=tile.blocks,
        num_warps=tile.num_warps,
    )
    return out


def scale_rows(
    rows: Tensor, scale: Tensor, multiplier: float, neutral: float | None
) -> Tensor:
    """Scales rows in a backward pass, in place if nothing will need them again.

    Not an op: in eager mode that saves a second boundary, and a compiler fuses the
    plain version with what surrounds it.

    Args:
        rows: (B, n, P) floating point, contiguous; kept for this backward pass only.
        scale: (B, n) floating point.
        multiplier: Factor of all rows.
        neutral: Value of `scale` that leaves a row as it is, or None.

    Returns:
        rows * scale * multiplier, (B, n, P) of the dtype of `rows`.
    """
    # Compilers trace with tensors of other types.
    if type(rows) is not Tensor or rows.device.type not in KERNEL_DEVICES:
        return _scale_rows(rows, scale, multiplier, neutral, False)
    in_place = not _graph_is_kept()
    arguments = (rows, scale, multiplier, neutral, in_place)
    return run_kernel("scale_rows", launch_scale_rows, _scale_rows, *arguments)


def _scale_rows(
    rows: Tensor,
    scale: Tensor,
    multiplier: float,
    neutral: float | None,
    in_place: bool,
) -> Tensor:
    return (rows * (scale * multiplier).unsqueeze(-1)).to(rows.dtype)


def _graph_is_kept() -> bool:
    """Returns whether another backward pass may read what this one reads."""
    ask = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return True if ask is None else bool(ask())
