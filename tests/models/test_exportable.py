import pytest
import torch
from torch import nn

from lightly_marlin.models import MarlinEncoder
from lightly_marlin.models.blocks import MarlinBlock, TransformerBlocks
from lightly_marlin.models.cpu import accelerate_cpu
from lightly_marlin.models.exportable import exportable


@pytest.fixture
def encoder(toy):
    torch.manual_seed(0)
    model = MarlinEncoder(toy)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn(parameter.shape)
    return accelerate_cpu(model).eval()


@torch.no_grad()
def test_is_the_same_function(encoder, toy_videos):
    torch.testing.assert_close(exportable(encoder)(toy_videos), encoder(toy_videos))
    tokens = exportable(encoder, keep_seq=True)(toy_videos)
    torch.testing.assert_close(tokens, encoder.encode(toy_videos))


def test_has_standard_layers_only(encoder):
    kinds = {type(module) for module in exportable(encoder).modules()}
    ours = {k for k in kinds if k.__module__.startswith("lightly_marlin")}
    assert ours == {MarlinEncoder, TransformerBlocks, MarlinBlock}
    assert nn.Linear in kinds


def test_shares_nothing_with_the_encoder(encoder, toy_videos):
    before = encoder(toy_videos)
    for parameter in exportable(encoder).parameters():
        parameter.data.zero_()
    torch.testing.assert_close(encoder(toy_videos), before)
    assert encoder.patch_embed.weight.requires_grad


def test_other_clips_are_refused(encoder, toy_videos):
    with pytest.raises(ValueError, match="Invalid shape of videos"):
        exportable(encoder)(toy_videos[:, :, :4])


@torch.no_grad()
def test_encoders_trace_and_export_without_our_operations(encoder, toy_videos):
    expected = encoder(toy_videos)
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(encoder, (toy_videos,), dynamic_shapes=({0: batch},))
    assert "lightly_marlin" not in program.graph_module.code
    traced = torch.jit.trace(encoder, toy_videos, check_trace=False)
    for run in (program.module(), traced):
        torch.testing.assert_close(run(toy_videos), expected)
        torch.testing.assert_close(run(toy_videos[:1]), expected[:1])


def test_dtype_is_kept(encoder):
    copied = exportable(encoder.double())
    assert {parameter.dtype for parameter in copied.parameters()} == {torch.float64}
