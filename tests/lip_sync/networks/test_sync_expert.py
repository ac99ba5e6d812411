import doctest

import pytest
import torch
import torch.nn.functional as F
from torch import Generator

from lightly_marlin.lip_sync import (
    SyncExpert,
    cosine_bce,
    draw_pair,
    fixed_pairs,
    pair_inputs,
    score_pairs,
)
from lightly_marlin.lip_sync.networks import sync_expert


@pytest.fixture(scope="module")
def expert():
    torch.manual_seed(0)
    return SyncExpert(num_frames=5, width=2).eval()


def draw(num_frames=5, size=96, batch=3):
    generator = Generator().manual_seed(1)
    frames = torch.rand(batch, 3, num_frames, size, size, generator=generator)
    steps = {5: 16, 16: 52}[num_frames]
    return frames, torch.randn(batch, 1, 80, steps, generator=generator)


def test_example_runs():
    failures, tried = doctest.testmod(
        sync_expert, extraglobs={"torch": torch}, report=True
    )
    assert (failures, tried) == (0, 3)


@pytest.mark.parametrize("num_frames", [5, 16])
@pytest.mark.parametrize("width", [1, 4])
def test_embeddings__are_unit_vectors_and_not_negative(num_frames, width):
    expert = SyncExpert(num_frames, width=width).eval()
    video, audio = expert(*draw(num_frames))
    for embedding in (video, audio):
        assert embedding.shape == (3, 16 * width) == (3, expert.embed_dim)
        assert embedding.dtype == torch.float32
        assert embedding.min() >= 0
        torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3))
    similarity = expert.similarity(video, audio)
    assert ((similarity >= 0) & (similarity <= 1)).all()
    expected = F.cosine_similarity(video, audio)
    torch.testing.assert_close(similarity, expected)


def test_released_sizes():
    """As far as they are known: 5 frames of 48x96 in 15 channels, 80x16, 512."""
    expert = SyncExpert()
    assert (expert.mel_steps, expert.embed_dim) == (16, 512)
    lips = torch.rand(2, 15, 48, 96)
    assert expert.face_encoder(lips).shape == (2, 512)
    assert SyncExpert(16, width=1).mel_steps == 52
    assert SyncExpert(16, width=1).face_encoder[0][0].in_channels == 48


def test_upper_half_makes_no_difference(expert):
    frames = draw()[0]
    changed = frames.clone()
    changed[..., :48, :] = 0
    assert torch.equal(expert.embed_frames(changed), expert.embed_frames(frames))
    changed[..., 60:, :] = 0
    assert not torch.equal(expert.embed_frames(changed), expert.embed_frames(frames))


def test_frames_of_other_sizes_are_resized(expert):
    frames = draw(size=32)[0]
    larger = F.interpolate(frames.flatten(0, 1), (96, 96), mode="bilinear")
    resized = larger.unflatten(0, (3, 3))
    torch.testing.assert_close(
        expert.embed_frames(frames), expert.embed_frames(resized)
    )
    assert expert.embed_frames(frames[..., :20]).shape == (3, 32)


def test_uint8_is_scaled(expert):
    frames = (255 * draw()[0]).to(torch.uint8)
    torch.testing.assert_close(
        expert.embed_frames(frames), expert.embed_frames(frames / 255)
    )


def test_embeddings_without_features_are_zero():
    """Every unit may be off: no NaN, neither forward nor backward."""
    expert = SyncExpert(width=1).eval()
    torch.nn.init.constant_(expert.face_encoder[-2][1].bias, -100.0)
    frames, mel = draw()
    frames.requires_grad_()
    similarity = expert.similarity(*expert(frames, mel))
    assert (similarity == 0).all()
    cosine_bce(similarity, torch.ones(3)).backward()
    assert (frames.grad == 0).all()


def test_autocast_gives_float32(expert):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        video, audio = expert(*draw())
    assert video.dtype == audio.dtype == torch.float32
    torch.testing.assert_close(video.norm(dim=1), torch.ones(3))


def test_every_parameter_learns():
    torch.manual_seed(0)
    expert = SyncExpert(width=2)
    similarity = expert.similarity(*expert(*draw(batch=4)))
    cosine_bce(similarity, torch.tensor([1, 0, 1, 0])).backward()
    idle = [n for n, p in expert.named_parameters() if not p.grad.any()]
    assert idle == []


def talking(num_frames=16):
    """Each moment has a place of its own in the mouth and in the spectrum."""
    order = torch.randperm(num_frames, generator=Generator().manual_seed(0)).tolist()
    frames = torch.zeros(3, num_frames, 96, 96)
    mel = torch.full((80, 16 * num_frames // 5), -4.0)
    for t, place in enumerate(order):
        frames[:, t, 48:, 6 * place : 6 * place + 6] = 1
        mel[5 * place : 5 * place + 5, 16 * t // 5 : 16 * (t + 1) // 5] = 4
    return frames, mel


def batch_of(clip, pairs):
    inputs = [pair_inputs(*clip, pair, 2, 25) for pair in pairs]
    frames, mel = (torch.stack(part) for part in zip(*inputs, strict=True))
    return frames, mel, torch.tensor([pair.in_sync for pair in pairs])


def test_overfits_one_clip():
    torch.manual_seed(0)
    expert, clip = SyncExpert(num_frames=2, width=2), talking()
    fixed = batch_of(clip, fixed_pairs(16, 2, 25, num_pairs=64, seed=0))
    assert score_pairs(expert, [fixed]).accuracy < 0.6
    generator = Generator().manual_seed(0)
    optimizer = torch.optim.Adam(expert.parameters(), 3e-3)
    for _ in range(50):
        pairs = [
            draw_pair(16, 2, 25, in_sync=i % 2 == 0, generator=generator)
            for i in range(16)
        ]
        frames, mel, in_sync = batch_of(clip, pairs)
        loss = cosine_bce(expert.similarity(*expert(frames, mel)), in_sync)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scores = score_pairs(expert, [fixed])
    assert scores.accuracy > 0.85
    assert scores.loss < 0.4


def test_errors(expert):
    frames, mel = draw()
    for wrong in (frames[:, :, :4], frames[:, :1], frames[0]):
        with pytest.raises(ValueError, match=r"shape of frames .* \(B, 3, 5, H, W\)"):
            expert.embed_frames(wrong)
    with pytest.raises(ValueError, match=r"dtype of frames \(torch.int64\)"):
        expert.embed_frames(frames.long())
    for wrong in (mel[..., :15], mel[:, :, :79], mel[:, 0], mel.long()):
        with pytest.raises(ValueError, match=r"Invalid mel .* \(B, 1, 80, 16\)"):
            expert.embed_mel(wrong)
    with pytest.raises(ValueError, match="Invalid num_frames 0: must be at least 1"):
        SyncExpert(0)
    with pytest.raises(ValueError, match="Invalid width 0"):
        SyncExpert(width=0)
