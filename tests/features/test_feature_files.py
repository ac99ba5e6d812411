import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from lightly_marlin.features.feature_files import FeatureFile


def read(path):
    return np.load(path) if path.suffix == ".npy" else load_file(path)["features"]


@pytest.mark.parametrize("suffix", ["npy", "safetensors"])
@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_tracks_follow_each_other(suffix, shape, tmp_path):
    path = tmp_path / "deep" / f"a.{suffix}"
    file = FeatureFile(path, shape)
    rows = torch.randn(5, *shape)
    for track, row in zip((1, 0, 1, 0, 1), rows, strict=True):
        file.add(track, row)
    assert not path.exists()
    file.close()
    array = read(path)
    assert array.dtype == np.float32
    assert np.array_equal(array, rows[[1, 3, 0, 2, 4]].numpy())
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", ["npy", "safetensors"])
def test_no_rows(suffix, tmp_path):
    file = FeatureFile(tmp_path / f"a.{suffix}", (7,))
    file.close()
    assert read(tmp_path / f"a.{suffix}").shape == (0, 7)


def test_nothing_is_left_of_an_abandoned_file(tmp_path):
    file = FeatureFile(tmp_path / "a.npy", (2,))
    file.add(0, torch.zeros(2))
    file.abandon()
    assert list(tmp_path.iterdir()) == []


def test_remains_of_a_killed_run_are_removed(tmp_path):
    file = FeatureFile(tmp_path / "a[1].npy", (2,))
    (tmp_path / ".a[1]-x7.npy").touch()
    (tmp_path / ".ab-x7.npy").touch()
    (tmp_path / "a[1].npy").touch()
    file.remove_remains()
    assert {p.name for p in tmp_path.iterdir()} == {".ab-x7.npy", "a[1].npy"}


@pytest.mark.parametrize("suffix", ["npy", "safetensors"])
def test_half_precision(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    file = FeatureFile(path, (2, 3), "float16")
    rows = torch.randn(2, 2, 3)
    for row in rows:
        file.add(0, row)
    file.close()
    array = read(path)
    assert array.dtype == np.float16
    assert np.array_equal(array, rows.half().numpy())
