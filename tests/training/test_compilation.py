import copy

import pytest
import torch

from lightly_marlin.loss import MarlinAdversarialLoss, MarlinReconstructionLoss
from lightly_marlin.models import Marlin, MarlinConfig, MarlinDiscriminator
from lightly_marlin.training import PretrainStep
from lightly_marlin.training.compilation import compile_networks
from lightly_marlin.transforms import tube_token_mask

SMALL = MarlinConfig(
    img_size=64,
    encoder_dim=24,
    encoder_depth=3,
    encoder_num_heads=2,
    decoder_dim=12,
    decoder_depth=2,
    decoder_num_heads=2,
)


@pytest.fixture
def make_step():
    """A training step of ours, on networks of equal weights."""
    torch.manual_seed(0)
    networks = Marlin(SMALL), MarlinDiscriminator(SMALL.patch_dim, 48)

    def make():
        model, critic = copy.deepcopy(networks)
        rates = [torch.optim.AdamW(part.parameters(), 1e-3) for part in (model, critic)]
        return model, critic, PretrainStep(model, critic, *rates)

    return make


def run(step, count=2):
    videos = torch.rand(2, 3, 16, 64, 64, generator=torch.Generator().manual_seed(1))
    masks = tube_token_mask((2, SMALL.grid), generator=torch.Generator().manual_seed(2))
    return [step(videos, *masks).reconstruction for _ in range(count)]


@pytest.mark.parametrize(
    "backend",
    ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)],
)
def test_compile_networks__same_updates(backend, make_step):
    model, critic, step = make_step()
    expected = run(step)
    compiled, compiled_critic, compiled_step = make_step()
    compile_networks(compiled, compiled_critic, backend=backend)
    torch.testing.assert_close(run(compiled_step), expected)
    for network, other in ((model, compiled), (critic, compiled_critic)):
        torch.testing.assert_close(other.state_dict(), network.state_dict())


def test_compile_networks__gradients_measured_after_a_plain_step(make_step):
    """A second backward pass needs what the first would have freed."""
    compiled, _, _ = make_step()
    compile_networks(compiled, backend="aot_eager")
    clip = _clip()
    compiled(*clip).sum().backward()
    loss = compiled(*clip).sum()
    weights = list(compiled.encoder.blocks.parameters())
    first = torch.autograd.grad(loss, weights, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, weights), first)


def test_compile_networks__blocks_share_a_compilation(make_step, monkeypatch):
    torch._dynamo.reset()
    compiled, _, step = make_step()
    counters = torch._dynamo.utils.counters
    counters.clear()
    compile_networks(compiled, backend="aot_eager")
    run(step)
    # Encoder, decoder, and its last block; a second step compiles nothing.
    assert counters["stats"]["unique_graphs"] == 3
    # Copies are plain again, as those that are saved must be.
    assert copy.deepcopy(compiled)(*_clip()).shape[0] == 1


def _clip():
    masks = tube_token_mask((1, SMALL.grid), generator=torch.Generator().manual_seed(2))
    return torch.rand(1, 3, 16, 64, 64), *masks


def test_model_losses_and_critic_have_no_graph_break():
    torch.manual_seed(0)
    model, critic = Marlin(SMALL), MarlinDiscriminator(SMALL.patch_dim, 48)
    reconstruction, adversarial = MarlinReconstructionLoss(), MarlinAdversarialLoss()

    def losses(videos, idx_keep, idx_mask):
        pred = model(videos, idx_keep, idx_mask)
        score = adversarial.generator_loss(critic(pred))
        return reconstruction(pred, videos, idx_mask) + 0.01 * score

    compiled = torch.compile(losses, fullgraph=True, backend="aot_eager")
    clip = _clip()
    for mixed in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            torch.testing.assert_close(compiled(*clip), losses(*clip))
