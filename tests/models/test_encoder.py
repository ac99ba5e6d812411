import inspect

import pytest
import torch
from lightly.models.modules.masked_vision_transformer import MaskedVisionTransformer
from lightly.models.utils import get_at_index
from torch import nn

from lightly_marlin.models import (
    MarlinEncoder,
    accelerate_cpu,
    create_marlin_encoder,
)


@pytest.fixture
def encoder(toy):
    torch.manual_seed(0)
    encoder = MarlinEncoder(toy)
    nn.init.normal_(encoder.patch_embed.bias)
    return encoder


@pytest.fixture
def idx_keep(split_tokens):
    return split_tokens(2, 32, 5)[0]


METHODS = [
    "forward",
    "encode",
    "forward_intermediates",
    "preprocess",
    "images_to_tokens",
    "prepend_prefix_tokens",
    "add_pos_embed",
]


@pytest.mark.parametrize("method", METHODS)
def test_arguments_are_those_of_lightly(method):
    theirs = inspect.signature(getattr(MaskedVisionTransformer, method)).parameters
    ours = inspect.signature(getattr(MarlinEncoder, method)).parameters
    assert [(p.name, p.default, p.kind) for p in ours.values()] == [
        (p.name, p.default, p.kind) for p in theirs.values()
    ]


def test_is_one_of_lightlys(encoder):
    assert isinstance(encoder, MaskedVisionTransformer)
    assert encoder.sequence_length == 32
    assert encoder.embed_dim == 24


def test_embedding_is_the_convolution_of_the_paper(encoder, toy_videos):
    kernel = encoder.patch_embed.weight.unflatten(1, (3, 2, 16, 16))
    convolved = nn.functional.conv3d(
        toy_videos / 255, kernel, encoder.patch_embed.bias, stride=(2, 16, 16)
    )
    expected = convolved.flatten(2).transpose(1, 2)
    torch.testing.assert_close(encoder.images_to_tokens(toy_videos), expected)


def test_gathering_first_changes_nothing(encoder, toy_videos, idx_keep):
    # Lightly's way: embed everything, then take the kept tokens.
    everything = MaskedVisionTransformer.preprocess(encoder, toy_videos)
    torch.testing.assert_close(
        encoder.preprocess(toy_videos, idx_keep=idx_keep),
        get_at_index(everything, idx_keep),
    )


def test_keeping_everything_is_keeping_nothing_out(encoder, toy_videos):
    everything = torch.arange(32).expand(2, -1)
    torch.testing.assert_close(
        encoder.encode(toy_videos, idx_keep=everything), encoder.encode(toy_videos)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uint8_and_float_videos_give_the_same(encoder, toy_videos, dtype):
    torch.testing.assert_close(encoder(toy_videos.to(dtype) / 255), encoder(toy_videos))


def test_channels_last_videos_give_the_same(encoder, toy_videos, idx_keep):
    decoded = toy_videos.permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3)
    torch.testing.assert_close(
        encoder.encode(decoded, idx_keep=idx_keep),
        encoder.encode(toy_videos, idx_keep=idx_keep),
    )


def test_pools_before_it_normalises(encoder, toy_videos):
    nn.init.normal_(encoder.norm.weight)
    tokens = encoder.blocks(encoder.preprocess(toy_videos))
    pooled = encoder(toy_videos)
    assert pooled.shape == (2, 24)
    torch.testing.assert_close(pooled, encoder.norm(tokens.mean(dim=1)))
    torch.testing.assert_close(encoder.encode(toy_videos), encoder.norm(tokens))


@pytest.mark.parametrize("form", ["idx_mask", "mask"])
def test_masked_tokens_become_the_mask_token(encoder, toy_videos, split_tokens, form):
    encoder.mask_token = nn.Parameter(torch.full((1, 1, 24), 3.0))
    _, idx_mask = split_tokens(2, 32, 20)
    mask = torch.zeros(2, 32, dtype=torch.bool).scatter(1, idx_mask, True)
    argument = {"idx_mask": idx_mask} if form == "idx_mask" else {"mask": mask}
    plain = encoder.preprocess(toy_videos) - encoder.pos_embed
    masked = encoder.preprocess(toy_videos, **argument) - encoder.pos_embed
    torch.testing.assert_close(masked[~mask], plain[~mask])
    torch.testing.assert_close(masked[mask], torch.full((24, 24), 3.0))
    masked.sum().backward()
    assert (encoder.mask_token.grad == 24).all()


def test_masks_before_it_keeps(encoder, toy_videos, idx_keep):
    # One kept token is masked; without a trained mask token it is zeros.
    kept = encoder.preprocess(toy_videos, idx_mask=idx_keep[:, :1], idx_keep=idx_keep)
    torch.testing.assert_close(kept[:, 0], encoder.pos_embed[0, idx_keep[:, 0]])
    torch.testing.assert_close(
        kept[:, 1:], encoder.preprocess(toy_videos, idx_keep=idx_keep)[:, 1:]
    )


@pytest.mark.parametrize("norm", [False, True])
def test_intermediates(encoder, toy_videos, idx_keep, norm):
    out, between = encoder.forward_intermediates(
        toy_videos, idx_keep=idx_keep, norm=norm
    )
    assert [tokens.shape for tokens in between] == [(2, 5, 24)] * 2
    torch.testing.assert_close(out, encoder.encode(toy_videos, idx_keep=idx_keep))
    last = between[-1] if norm else encoder.norm(between[-1])
    torch.testing.assert_close(last, out)


def test_recomputed_gradients_are_the_same(encoder, toy_videos, idx_keep):
    gradients = []
    for enable in (False, True):
        encoder.set_grad_checkpointing(enable)
        encoder.zero_grad()
        encoder.encode(toy_videos, idx_keep=idx_keep).square().sum().backward()
        gradients.append(encoder.patch_embed.weight.grad.clone())
    torch.testing.assert_close(*gradients)


def test_gathers_in_the_dtype_of_autocast(encoder, toy_videos, idx_keep):
    seen = []
    encoder.patch_embed.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].dtype)
    )
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder.encode(toy_videos, idx_keep=idx_keep)
    exact = encoder.encode(toy_videos, idx_keep=idx_keep)
    assert seen == [torch.bfloat16, torch.float32]
    torch.testing.assert_close(half.float(), exact, rtol=0, atol=0.1)


def test_runs_in_half_precision(encoder, toy_videos):
    features = encoder.bfloat16()(toy_videos)
    assert features.dtype == torch.bfloat16


@pytest.mark.parametrize("autocast", [False, True])
def test_compiles_as_one_graph(encoder, toy_videos, idx_keep, autocast):
    compiled = torch.compile(encoder.encode, fullgraph=True, backend="aot_eager")
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        torch.testing.assert_close(
            compiled(toy_videos, idx_keep=idx_keep),
            encoder.encode(toy_videos, idx_keep=idx_keep),
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"idx_keep": torch.tensor([[0, 32]])}, r"idx_keep must be in \[0, 32\)"),
        ({"idx_keep": torch.tensor([[-1, 3]])}, r"idx_keep must be in \[0, 32\)"),
        ({"idx_keep": torch.zeros(1, 0, dtype=torch.int64)}, "at least one token"),
        ({"idx_keep": torch.zeros(2, 3, dtype=torch.int64)}, r"idx_keep.*\(2, 3\)"),
        ({"idx_mask": torch.zeros(1, 3)}, "idx_mask.*torch.float32"),
        ({"mask": torch.zeros(1, 31, dtype=torch.bool)}, r"mask.*\(1, 31\).*\(1, 32\)"),
        ({"mask": torch.zeros(1, 32)}, "mask.*torch.float32.*torch.bool"),
        (
            {
                "mask": torch.zeros(1, 32, dtype=torch.bool),
                "idx_mask": torch.tensor([[0]]),
            },
            "idx_mask and mask cannot both be set",
        ),
    ],
)
def test_refuses_what_does_not_fit(encoder, toy_videos, arguments, message):
    with pytest.raises(ValueError, match=message):
        encoder.encode(toy_videos[:1], **arguments)


@pytest.mark.parametrize("method", ["forward", "images_to_tokens"])
def test_refuses_other_clips(encoder, toy_videos, method):
    with pytest.raises(
        ValueError, match=r"Invalid shape of videos \(2, 3, 8, 32, 32\)"
    ):
        getattr(encoder, method)(toy_videos[:, :, :8])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("grad", [False, True])
def test_no_clips_have_no_features(encoder, dtype, autocast, grad):
    videos = torch.zeros(0, 3, 16, 32, 32, dtype=dtype)
    idx = torch.zeros(0, 5, dtype=torch.int64)
    context = torch.autocast("cpu", torch.bfloat16, enabled=autocast)
    for model in (encoder, accelerate_cpu(encoder)):
        with context, torch.set_grad_enabled(grad):
            assert model(videos).shape == (0, 24)
            assert model.encode(videos).shape == (0, 32, 24)
            assert model.encode(videos, idx_keep=idx).shape == (0, 5, 24)
            assert model.encode(videos, idx_mask=idx).shape == (0, 32, 24)
            assert model.forward_intermediates(videos)[1][-1].shape == (0, 32, 24)


def test_a_named_encoder_of_no_clips():
    videos = torch.zeros(0, 3, 16, 224, 224)
    assert create_marlin_encoder("marlin_vit_tiny")(videos).shape == (0, 192)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_traced_encoders_take_any_number_of_clips(encoder, toy_videos, dtype):
    videos = toy_videos if dtype == torch.uint8 else toy_videos / 255
    traced = torch.jit.trace(encoder.eval(), videos)
    for clips in (videos, videos[:1], torch.cat([videos, videos.flip(2)]), videos[:0]):
        torch.testing.assert_close(traced(clips), encoder(clips))


def test_group_matcher__timm_sees_stem_blocks_and_norm(encoder):
    from timm.models import group_parameters

    layers = group_parameters(encoder, encoder.group_matcher(), reverse=True)
    assert layers["patch_embed.weight"] == layers["pos_embed"] == 0
    assert layers["blocks.0.attn.q_bias"] == 1
    assert layers["blocks.1.norm2.weight"] == 2
    assert layers["norm.bias"] == 3
    assert set(layers) == {name for name, _ in encoder.named_parameters()}
    coarse = group_parameters(encoder, encoder.group_matcher(coarse=True), reverse=True)
    assert coarse["blocks.0.attn.q_bias"] == coarse["blocks.1.norm2.weight"] == 1


def test_no_weight_decay__names_parameters(encoder):
    assert "pos_embed" in encoder.no_weight_decay()
    assert "pos_embed" in dict(encoder.named_parameters())
