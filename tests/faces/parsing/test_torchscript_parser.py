import pickle

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lightly_marlin.faces import (
    CELEBAMASK_HQ,
    CELEBAMASK_HQ_DATASET,
    TorchScriptParser,
)


class _Brightness(nn.Module):
    """Labels a pixel by its red value in tenths; as logits or as labels."""

    def __init__(self, channels: int, step: int = 1, levels: int = 10):
        super().__init__()
        self.levels = levels
        self.channels = channels
        self.step = step

    def forward(self, images: Tensor) -> Tensor:
        labels = images[:, 0, :: self.step, :: self.step] * self.levels
        labels = labels.round().long()
        if self.channels == 0:
            return labels
        ladder = torch.arange(self.channels).view(1, -1, 1, 1)
        return -(ladder - labels[:, None]).abs().float()


def _save(tmp_path, module):
    path = tmp_path / "net.pt"
    torch.jit.save(torch.jit.script(module), path)
    return path


@pytest.fixture
def frames():
    tenths = np.random.default_rng(0).integers(0, 11, (5, 32, 32, 1))
    return np.repeat(tenths * 25.5, 3, axis=-1).round().astype(np.uint8)


WHOLE = np.tile([0.0, 0.0, 32.0, 32.0], (5, 1))


@pytest.mark.parametrize("channels", [0, 11])
def test_labels_and_logits_are_read(tmp_path, frames, channels):
    path = _save(tmp_path, _Brightness(channels))
    regions = TorchScriptParser(path, size=32, batch_size=2)(frames, WHOLE)
    np.testing.assert_array_equal(regions, (frames[..., 0] / 25.5).round())
    assert regions.dtype == np.uint8


def test_a_parser_can_be_sent_to_workers(tmp_path, frames):
    path = _save(tmp_path, _Brightness(11))
    parser = TorchScriptParser(path, size=32, batch_size=2)
    copy = pickle.loads(pickle.dumps(parser))
    np.testing.assert_array_equal(parser(frames, WHOLE), copy(frames, WHOLE))
    assert vars(copy).keys() == vars(parser).keys()
    assert copy.fingerprint == parser.fingerprint


def test_the_fingerprint_follows_file_and_size(tmp_path):
    path = _save(tmp_path, _Brightness(11))
    seen = [TorchScriptParser(path, size=size).fingerprint for size in (32, 64)]
    seen.append(TorchScriptParser(_save(tmp_path, _Brightness(0)), size=32).fingerprint)
    assert len(set(seen)) == 3
    assert TorchScriptParser(path, size=32, batch_size=3).fingerprint == seen[2]


@pytest.mark.parametrize("channels", [0, 11])
def test_a_coarse_answer_is_enlarged(tmp_path, frames, channels):
    path = _save(tmp_path, _Brightness(channels, step=2))
    frames = np.full_like(frames, 102)
    assert (TorchScriptParser(path, size=32)(frames, WHOLE) == 4).all()


def test_the_answer_is_pasted_under_the_box(tmp_path, frames):
    path = _save(tmp_path, _Brightness(11))
    frames = np.full_like(frames, 102)
    boxes = np.tile([-8.0, 4.0, 16.0, 28.0], (5, 1))
    regions = TorchScriptParser(path, size=24)(frames, boxes)
    assert (regions[:, 4:28, :16] == 4).all()
    assert regions.sum() == 5 * 24 * 16 * 4


def test_a_box_beside_the_frame_leaves_background(tmp_path, frames):
    path = _save(tmp_path, _Brightness(11))
    boxes = np.tile([100.0, 0.0, 132.0, 32.0], (5, 1))
    assert not TorchScriptParser(path, size=32)(frames, boxes).any()


def test_another_number_of_classes_is_rejected(tmp_path, frames):
    path = _save(tmp_path, _Brightness(19))
    with pytest.raises(ValueError, match=r"shape \(5, 19, 32, 32\).*\(T, 11, h, w\)"):
        TorchScriptParser(path, size=32)(frames, WHOLE)


@pytest.mark.parametrize("channels", [0, 19])
@pytest.mark.parametrize("table", [CELEBAMASK_HQ, CELEBAMASK_HQ_DATASET])
def test_other_classes_become_lapa_labels(tmp_path, channels, table):
    classes = np.random.default_rng(0).integers(0, 19, (5, 32, 32, 1))
    frames = np.repeat((classes * 255 / 18).round(), 3, axis=-1).astype(np.uint8)
    path = _save(tmp_path, _Brightness(channels, levels=18))
    parser = TorchScriptParser(path, size=32, remap=table)
    expected = np.array([int(label) for label in table])[classes[..., 0]]
    np.testing.assert_array_equal(parser(frames, WHOLE), expected)
    copy = pickle.loads(pickle.dumps(parser))
    np.testing.assert_array_equal(copy(frames, WHOLE), expected)
    assert copy.fingerprint == parser.fingerprint
    assert parser.fingerprint != TorchScriptParser(path, size=32).fingerprint


def test_the_number_of_classes_follows_from_the_remap(tmp_path, frames):
    path = _save(tmp_path, _Brightness(11))
    with pytest.raises(ValueError, match=r"\(T, 19, h, w\)"):
        TorchScriptParser(path, size=32, remap=CELEBAMASK_HQ)(frames, WHOLE)
    for remap in ((), (0, 11), (-1,)):
        with pytest.raises(ValueError, match="Invalid remap"):
            TorchScriptParser(path, size=32, remap=remap)


def test_a_label_beyond_lapa_is_rejected(tmp_path, frames):
    class Beyond(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.full_like(images[:, 0], 11).long()

    path = _save(tmp_path, Beyond())
    with pytest.raises(ValueError, match=r"Invalid labels in \[11, 11\]"):
        TorchScriptParser(path, size=32)(frames, WHOLE)


def test_files_that_are_no_networks(tmp_path):
    with pytest.raises(FileNotFoundError, match="No TorchScript network"):
        TorchScriptParser(tmp_path / "missing.pt")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "state.pt")
    with pytest.raises(ValueError, match=r"must be a file written by torch\.jit\.save"):
        TorchScriptParser(tmp_path / "state.pt")


def test_options_below_one_are_rejected(tmp_path):
    with pytest.raises(ValueError, match="Invalid batch_size 0"):
        TorchScriptParser(tmp_path / "net.pt", batch_size=0)
