import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from lightly_marlin.features.feature_ledger import FeatureRecord, FeatureRow
from lightly_marlin.features.joined_table import write_joined_table


def record(source, file, starts):
    rows = [FeatureRow(source, i, s, s / 25, 16) for i, s in enumerate(starts)]
    return FeatureRecord(source, "ok", file=file, rows=tuple(rows))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("suffix", ["npy", "safetensors"])
def test_all_rows_with_their_places(suffix, dtype, tmp_path):
    shapes = ((2, 4), (1, 4))
    arrays = [np.random.default_rng(n).random(n).astype(dtype) for n in shapes]
    for name, array in zip("ab", arrays, strict=True):
        if suffix == "npy":
            np.save(tmp_path / f"{name}.npy", array)
        else:
            save_file({"features": array}, tmp_path / f"{name}.safetensors")
    records = [
        record("a.mp4", f"a.{suffix}", (0, 32)),
        FeatureRecord("bad.mp4", "failed", "no video"),
        FeatureRecord("dark.mp4", "no_face", file=f"dark.{suffix}"),
        record("b.mp4", f"b.{suffix}", (7,)),
    ]
    write_joined_table(tmp_path, records)
    table = pq.read_table(tmp_path / "features.parquet")
    assert table["source"].to_pylist() == ["a.mp4", "a.mp4", "b.mp4"]
    assert table["start_frame"].to_pylist() == [0, 32, 7]
    found = np.array(table["features"].to_pylist(), dtype=np.float32)
    assert np.array_equal(found, np.concatenate(arrays))
