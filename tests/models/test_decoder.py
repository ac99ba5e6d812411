import pytest
import torch

from lightly_marlin.models import MarlinDecoder


@pytest.fixture
def decoder(toy):
    torch.manual_seed(0)
    return MarlinDecoder(toy)


def test_predicts_in_the_order_of_the_masked_tokens(decoder, split_tokens):
    idx_keep, idx_mask = split_tokens(2, 32, 4)
    visible = torch.randn(2, 4, 12)
    pixels = decoder(visible, idx_keep, idx_mask)
    assert pixels.shape == (2, 28, 1536)
    # Attention knows positions from the table alone, so other orders only reorder.
    torch.testing.assert_close(
        decoder(visible.flip(1), idx_keep.flip(1), idx_mask.flip(1)), pixels.flip(1)
    )


def test_equals_norm_and_head_on_everything_then_slicing(decoder, split_tokens):
    idx_keep, idx_mask = split_tokens(2, 32, 4)
    visible = torch.randn(2, 4, 12)
    positions = decoder.pos_embed[0]
    tokens = torch.cat(
        [visible + positions[idx_keep], decoder.mask_token + positions[idx_mask]], dim=1
    )
    everything = decoder.head(decoder.norm(decoder.blocks(tokens)))
    torch.testing.assert_close(decoder(visible, idx_keep, idx_mask), everything[:, 4:])


def test_refuses_indices_that_do_not_fit(decoder):
    visible = torch.randn(1, 2, 12)
    good = torch.tensor([[0, 1]])
    with pytest.raises(ValueError, match=r"idx_mask must be in \[0, 32\)"):
        decoder(visible, good, torch.tensor([[40]]))
    with pytest.raises(ValueError, match="idx_keep must have one index for each of 2"):
        decoder(visible, good[:, :1], good)


def test_tokens_before_the_head(decoder, split_tokens):
    idx_keep, idx_mask = split_tokens(2, 32, 4)
    visible = torch.randn(2, 4, 12)
    tokens = decoder.forward_tokens(visible, idx_keep, idx_mask)
    assert tokens.shape == (2, 28, 12)
    assert torch.equal(decoder.head(tokens), decoder(visible, idx_keep, idx_mask))


def test_other_width_of_the_prediction(toy, decoder, split_tokens):
    wide = MarlinDecoder(toy, out_dim=40)
    assert wide.state_dict().keys() == decoder.state_dict().keys()
    visible = torch.randn(2, 4, 12)
    assert wide(visible, *split_tokens(2, 32, 4)).shape == (2, 28, 40)


def test_predicts_pixels_unless_told_otherwise(toy, decoder):
    torch.manual_seed(0)
    state = MarlinDecoder(toy, out_dim=toy.patch_dim).state_dict()
    assert all(torch.equal(state[name], p) for name, p in decoder.state_dict().items())
