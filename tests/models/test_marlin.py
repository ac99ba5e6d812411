import json

import pytest
import torch
from torch import nn

from lightly_marlin.models import Marlin


@pytest.fixture
def model(toy):
    torch.manual_seed(0)
    return Marlin(toy)


@pytest.fixture
def split(split_tokens):
    return split_tokens(2, 32, 3)


def test_predicts_pixels_of_the_masked_tokens(model, toy, toy_videos, split):
    idx_keep, idx_mask = split
    assert model.config == toy
    assert model(toy_videos, idx_keep, idx_mask).shape == (2, 29, 1536)


def test_masked_pixels_do_not_leak(model, toy_videos, split):
    hidden = model.reconstruct(toy_videos, split[1], torch.zeros(2, 29, 1536))
    torch.testing.assert_close(model(hidden, *split), model(toy_videos, *split))


def test_every_parameter_learns(model, toy_videos, split):
    model(toy_videos, *split).square().mean().backward()
    idle = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        and (parameter.grad is None or not parameter.grad.any())
    ]
    assert idle == []


def test_recomputed_gradients_are_the_same(model, toy_videos, split):
    gradients = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        model.zero_grad()
        model(toy_videos, *split).square().sum().backward()
        gradients.append(
            [p.grad.clone() for p in model.parameters() if p.requires_grad]
        )
    torch.testing.assert_close(*gradients)


def test_overfits_one_clip(model, toy_videos, split):
    idx_keep, idx_mask = split
    smooth = nn.functional.avg_pool3d(toy_videos / 255, 5, 1, 2)
    target = smooth.mean() * torch.ones(2, 29, 1536)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        loss = nn.functional.mse_loss(model(smooth, idx_keep, idx_mask), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 20


def test_compiles_as_one_graph(model, toy_videos, split):
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    expected = model(toy_videos, *split)
    torch.testing.assert_close(compiled(toy_videos, *split), expected)
    compiled(toy_videos, *split).sum().backward()


def test_reconstruct_shows_predicted_and_visible_tubelets(model, toy_videos, split):
    pred = model(toy_videos, *split)
    clip = model.reconstruct(toy_videos, split[1], pred)
    assert clip.shape == toy_videos.shape
    assert not clip.requires_grad
    assert 0 <= clip.min() <= clip.max() <= 1


def test_saved_models_come_back(model, toy_videos, split, tmp_path):
    nn.init.normal_(model.encoder.blocks[0].attn.q_bias)
    model.save_pretrained(tmp_path / "run" / "model")
    loaded = Marlin.from_pretrained(tmp_path / "run" / "model")
    assert loaded.config == model.config
    assert torch.equal(loaded(toy_videos, *split), model(toy_videos, *split))
    files = sorted(path.name for path in (tmp_path / "run" / "model").iterdir())
    assert files == ["config.json", "model.safetensors"]


def test_from_pretrained_says_what_is_wrong(model, tmp_path):
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        Marlin.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*nowhere"):
        Marlin.from_pretrained(tmp_path / "nowhere")
    model.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json: it is not a JSON"):
        Marlin.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"depth": 3}))
    with pytest.raises(ValueError, match="Unknown model settings 'depth'"):
        Marlin.from_pretrained(tmp_path)


def test_a_seed_gives_the_initial_weights_of_all_releases(model):
    drawn = {
        "encoder.patch_embed.weight": (0.0374, 0.0256, -0.0178),
        "decoder.mask_token": (0.0226, -0.0225, -0.0033),
        "decoder.head.weight": (-0.0142, 0.0042, 0.0471),
    }
    state = model.state_dict()
    for name, values in drawn.items():
        first = state[name].flatten()[:3]
        torch.testing.assert_close(first, torch.tensor(values), rtol=0, atol=1e-4)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_no_clips_are_predicted_and_give_no_gradient(model, checkpointing):
    model.set_grad_checkpointing(checkpointing)
    idx = torch.arange(32).expand(0, -1)
    videos = torch.zeros(0, 3, 16, 32, 32, dtype=torch.uint8)
    pred = model(videos, idx[:, :3], idx[:, 3:])
    assert pred.shape == (0, 29, 1536)
    assert model.reconstruct(videos, idx[:, 3:], pred).shape == videos.shape
    pred.sum().backward()
    assert not model.encoder.patch_embed.weight.grad.any()
