"""Every kernel compiles for real GPUs, to machine code, with none at hand.

Triton's interpreter accepts Python that its compiler does not. What is compiled here is
what the launchers ask for, at the sizes that pretraining has; registers that spill and
narrow memory accesses show in the machine code too.
"""

import re
from collections import Counter
from itertools import product
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed")

from compile_only import absent_gpu, machine_code, meta

from lightly_marlin.kernels import triton_language
from lightly_marlin.kernels.assemble_decoder_tokens import (
    launch_assemble_decoder_tokens,
)
from lightly_marlin.kernels.gather_tokens import launch_gather_tokens
from lightly_marlin.kernels.gather_tubelets import launch_gather_tubelets
from lightly_marlin.kernels.masked_token_losses import launch_masked_token_losses
from lightly_marlin.kernels.scale_rows import launch_scale_rows
from lightly_marlin.kernels.scatter_tokens import launch_scatter_tokens
from lightly_marlin.kernels.scatter_tubelets import launch_scatter_tubelets
from lightly_marlin.kernels.sum_tokens import launch_sum_over_clips, launch_sum_rows

pytestmark = pytest.mark.skipif(
    triton_language.INTERPRETED, reason="the interpreter compiles nothing"
)

U8, F16, BF16, F32 = torch.uint8, torch.float16, torch.bfloat16, torch.float32
SHAPE = (64, 3, 16, 224, 224)
KEEP, MASK = (meta(64, n, dtype=torch.int64) for n in (156, 1412))
CLIPS = {
    "planar": lambda dtype: meta(*SHAPE, dtype=dtype),
    "channels_last": lambda dtype: meta(64, 16, 224, 224, 3, dtype=dtype).permute(
        0, 4, 1, 2, 3
    ),
}


def _gathers_of_tubelets():
    for order, dtype, out in product(CLIPS, (U8, F16, BF16, F32), (BF16, F32)):
        clips = CLIPS[order](dtype)
        yield launch_gather_tubelets, (clips, KEEP, None, None, 2, 16, out, "c t h w")
    clips, values = CLIPS["planar"](U8), meta(3)
    for patch, tubelet, layout in ((8, 1, "t h w c"), (14, 4, "c t h w")):
        sizes = (tubelet, patch, F16, layout)
        yield launch_gather_tubelets, (clips, KEEP, values, values, *sizes)


def _token_losses():
    for order, dtype, clip_dtype in product(CLIPS, (F16, BF16, F32), (U8, F32)):
        pred, clips = meta(64, 1412, 1536, dtype=dtype), CLIPS[order](clip_dtype)
        options = (MASK, 2, 16, False, "mse", "mean")
        yield launch_masked_token_losses, (pred, clips, *options)
    clips = CLIPS["planar"](U8)
    for loss, patch, derivative in product(
        ("mse", "l1", "huber"), (14, 56), ("none", "pixel")
    ):
        pred = meta(64, 8, 3 * 2 * patch**2, dtype=BF16)
        options = (MASK[:, :8], 2, patch, True, loss, derivative)
        yield launch_masked_token_losses, (pred, clips, *options)


def _motion_losses():
    for order, dtype, clip_dtype in product(CLIPS, (F16, BF16, F32), (U8, F32)):
        pred, clips = meta(64, 1412, 1536, dtype=dtype), CLIPS[order](clip_dtype)
        options = (MASK, 2, 16, True, "mse", "mean", "motion")
        yield launch_masked_token_losses, (pred, clips, *options)
    clips = CLIPS["planar"](U8)
    for loss, patch, derivative in (("l1", 14, "none"), ("huber", 56, "pixel")):
        pred = meta(64, 8, 3 * 4 * patch**2, dtype=BF16)
        options = (MASK[:, :8], 4, patch, False, loss, derivative, "motion")
        yield launch_masked_token_losses, (pred, clips, *options)


def _tokens():
    tokens, pos = meta(64, 1568, 768, dtype=BF16), meta(1, 1568, 768)
    yield launch_gather_tokens, (tokens, KEEP, pos)
    yield launch_gather_tokens, (tokens.mT.contiguous().mT, KEEP, None)
    visible, joined = meta(64, 156, 384, dtype=BF16), meta(64, 1568, 384, dtype=BF16)
    for pos in (meta(1, 1568, 384), meta(1568, 384, dtype=BF16)):
        yield (
            launch_assemble_decoder_tokens,
            (visible, meta(1, 1, 384), pos, KEEP, MASK),
        )
    yield launch_scatter_tokens, (meta(64, 156, 768, dtype=BF16), KEEP, 1568, F32)
    everything = meta(64, 1568, dtype=torch.int64)
    yield launch_sum_over_clips, (joined, everything, 1568, F32)
    yield launch_sum_over_clips, (meta(1, 5, 3), KEEP[:1, :5], 1568, F32)
    yield launch_sum_rows, (joined[:, 156:], BF16)


def _gradients_of_pixels():
    scale = meta(1, 1).expand(64, 1412)
    for dtype, in_place in product((F16, BF16, F32), (False, True)):
        derivative = meta(64, 1412, 1536, dtype=dtype)
        yield launch_scale_rows, (derivative, scale, 3.0, 0.5, in_place)
    for std, layout in product((None, meta(3)), ("c t h w", "t h w c")):
        rows = meta(64, 156, 1536, dtype=BF16)
        options = (list(SHAPE), 2, 16, layout, F32)
        yield launch_scatter_tubelets, (rows, KEEP, std, *options)


def _single_tokens():
    """Sizes of one, which Triton makes constants of its own kind."""
    clips, idx = meta(1, 1, 1, 8, 8, dtype=U8), meta(1, 1, dtype=torch.int64)
    pred, tokens, shape = meta(1, 1, 64), meta(1, 1, 1), [1, 1, 1, 8, 8]
    sizes = (1, 8)
    yield launch_gather_tubelets, (clips, idx, None, None, *sizes, F32, "c t h w")
    yield (
        launch_masked_token_losses,
        (pred, clips, idx, *sizes, True, "mse", "mean"),
    )
    yield launch_scale_rows, (pred, meta(1, 1), 2.0, 1.0, True)
    yield launch_scatter_tubelets, (pred, idx, None, shape, *sizes, "c t h w", F32)
    yield launch_gather_tokens, (tokens, idx, tokens)
    none = idx[:, :0]
    for keep, mask in ((idx, idx), (idx, none), (none, idx)):
        visible = tokens[:, : keep.shape[1]]
        yield (
            launch_assemble_decoder_tokens,
            (visible, meta(1), meta(1, 1), keep, mask),
        )
    yield launch_scatter_tokens, (tokens, idx, 1, F32)
    yield launch_sum_over_clips, (tokens, idx, 1, F32)
    yield launch_sum_rows, (tokens, F32)


FAMILIES = (
    _gathers_of_tubelets,
    _token_losses,
    _motion_losses,
    _tokens,
    _gradients_of_pixels,
    _single_tokens,
)


@pytest.mark.parametrize("arch", [pytest.param(80, marks=pytest.mark.slow), 90])
@pytest.mark.parametrize("family", FAMILIES)
def test_compiles(family, arch):
    for launcher, arguments in family():
        with absent_gpu(arch) as compiled:
            launcher(*arguments)
        for kernel in compiled:
            assert kernel.metadata.target.arch == arch
            assert kernel.asm["cubin"]
            assert ".local" not in kernel.asm["ptx"], "an array left the registers"


def _accesses(launcher, *arguments):
    """Counts global loads and stores of the last kernel by their instruction."""
    with absent_gpu(90) as compiled:
        launcher(*arguments)
    ptx = compiled[-1].asm["ptx"]
    return Counter(re.findall(r"\b((?:ld|st)\.global[\w.]*)", ptx))


WIDE = {"ld.global.v4.b32", "st.global.v4.b32"}


def test_loss_moves_8_numbers_at_a_time_and_reads_the_clip_once():
    clips, pred = CLIPS["planar"](U8), meta(64, 1412, 1536, dtype=BF16)
    for norm_pix in (False, True):
        options = (MASK, 2, 16, norm_pix, "mse", "mean")
        accesses = _accesses(launch_masked_token_losses, pred, clips, *options)
        # 8 pixels of a thread, for each of three channels: 8 bytes of the clip and 16
        # of the predictions; the others are the index and the loss.
        assert accesses == {
            "ld.global.v2.b32": 3,
            "ld.global.v4.b32": 3,
            "st.global.v4.b32": 3,
            "ld.global.b64": 1,
            "st.global.b32": 1,
        }


def test_motion_reads_the_first_frame_a_second_time():
    """8 pixels at a time too; every other access is as without motion."""
    clips, pred = CLIPS["planar"](U8), meta(64, 1412, 1536, dtype=BF16)
    for norm_pix in (False, True):
        options = (MASK, 2, 16, norm_pix, "mse", "mean", "motion")
        accesses = _accesses(launch_masked_token_losses, pred, clips, *options)
        assert accesses == {
            "ld.global.v2.b32": 6,
            "ld.global.v4.b32": 3,
            "st.global.v4.b32": 3,
            "ld.global.b64": 1,
            "st.global.b32": 2,
        }


def test_gathers_move_8_numbers_at_a_time():
    clips, tokens = CLIPS["planar"](U8), meta(64, 1568, 768, dtype=BF16)
    options = (KEEP, None, None, 2, 16, BF16, "c t h w")
    accesses = _accesses(launch_gather_tubelets, clips, *options)
    assert accesses == {
        "ld.global.v2.b32": 3,
        "st.global.v4.b32": 3,
        "ld.global.b64": 1,
    }
    accesses = _accesses(launch_gather_tokens, tokens, KEEP, meta(1, 1568, 768))
    assert set(accesses) == {*WIDE, "ld.global.b64"}


def test_scaling_moves_16_bytes_at_a_time():
    derivative, scale = meta(64, 1412, 1536, dtype=BF16), meta(1, 1).expand(64, 1412)
    accesses = _accesses(launch_scale_rows, derivative, scale, 3.0, 0.5, True)
    assert set(accesses) == {*WIDE, "ld.global.b32"}


def _instructions(launcher, *arguments):
    """Instructions of the last kernel for each warp, times its warps.

    Counted to the last exit: what follows is called for operands that do not occur at
    these sizes, or is padding.
    """
    with absent_gpu(90) as compiled:
        launcher(*arguments)
    kernel = compiled[-1]
    lines = machine_code(kernel)
    last_exit = max(k for k, line in enumerate(lines) if line.startswith("EXIT"))
    return (last_exit + 1) * kernel.metadata.num_warps


CLIP_INPUT = CLIPS["planar"](U8)
VISIBLE, ROWS = (meta(64, 156, width, dtype=BF16) for width in (384, 1536))
LOSS = (meta(64, 1412, 1536, dtype=BF16), CLIP_INPUT, MASK, 2, 16)
# Upper bounds with a tenth to spare: what a program does for a token, or a tile of 2048
# numbers, at the sizes of pretraining.
MOST_INSTRUCTIONS = {
    "gather_tubelets": (
        launch_gather_tubelets,
        (CLIP_INPUT, KEEP, None, None, 2, 16, BF16, "c t h w"),
        550,
    ),
    "loss": (launch_masked_token_losses, (*LOSS, False, "mse", "mean"), 800),
    "norm_pix": (launch_masked_token_losses, (*LOSS, True, "mse", "mean"), 1100),
    "motion": (
        launch_masked_token_losses,
        (*LOSS, False, "mse", "mean", "motion"),
        1100,
    ),
    "scatter_tubelets": (
        launch_scatter_tubelets,
        (ROWS, KEEP, None, list(SHAPE), 2, 16, "c t h w", F32),
        950,
    ),
    "gather_tokens": (
        launch_gather_tokens,
        (meta(64, 1568, 768, dtype=BF16), KEEP, meta(1, 1568, 768)),
        1150,
    ),
    "scatter_tokens": (
        launch_scatter_tokens,
        (meta(64, 156, 768, dtype=BF16), KEEP, 1568, BF16),
        1450,
    ),
    "assemble_decoder_tokens": (
        launch_assemble_decoder_tokens,
        (VISIBLE, meta(1, 1, 384), meta(1, 1568, 384), KEEP, MASK),
        1450,
    ),
}


@pytest.mark.parametrize("name", MOST_INSTRUCTIONS)
def test_instructions_of_a_token(name):
    """Kernels wait for memory, not for divisions that every warp repeats."""
    launcher, arguments, most = MOST_INSTRUCTIONS[name]
    assert 0.5 * most < _instructions(launcher, *arguments) <= most


README = Path(triton_language.__file__).parent / "README.md"
README_NAMES = {
    "gather_tubelets": "gather_tubelets",
    "gather_tokens": "gather_tokens",
    "scatter_tokens": "gather_tokens, backward (scatter)",
    "assemble_decoder_tokens": "assemble_decoder_tokens",
    "loss": "masked_reconstruction_loss",
    "norm_pix": "… with norm_pix",
}


@pytest.mark.parametrize("name", README_NAMES)
def test_readme_has_these_instructions(name):
    """Within a twentieth, as another Triton makes other code."""
    row = rf"\| {re.escape(README_NAMES[name])} \| \d+ × \d = (\d+) \|"
    (figure,) = re.findall(row, README.read_text(encoding="utf-8"))
    launcher, arguments, _ = MOST_INSTRUCTIONS[name]
    assert _instructions(launcher, *arguments) == pytest.approx(int(figure), rel=0.05)


def test_scaling_by_one_looks_at_64_rows_and_leaves():
    derivative, scale = meta(64, 1412, 1536, dtype=BF16), meta(1, 1).expand(64, 1412)
    with absent_gpu(90) as compiled:
        launch_scale_rows(derivative, scale, 3.0, 0.5, True)
    code = machine_code(compiled[0])
    stores = [k for k, line in enumerate(code) if line.startswith("STG")]
    exits = [k for k, line in enumerate(code) if line.startswith("EXIT")]
    assert exits[0] < 150
    assert exits[0] < stores[0]
    assert sum(line.startswith("LDG") for line in code[: exits[0]]) <= 2


def test_strides_beyond_32_bits_are_64_bits_wide():
    """The launcher hands them over as they are; nothing is cut off."""
    clips = meta(2**12, 3, 16, 224, 224, dtype=U8).transpose(0, 1).contiguous()
    clips = clips.transpose(0, 1)
    assert clips.stride(1) > 2**31
    idx = meta(2**12, 4, dtype=torch.int64)
    with absent_gpu(90) as compiled:
        launch_gather_tubelets(clips, idx, None, None, 2, 16, BF16, "c t h w")
    assert compiled[0].src.signature["stride_c"] == "i64"
