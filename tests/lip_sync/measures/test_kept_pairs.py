"""Kept pairs: the same numbers again, unless files or settings changed."""

import numpy as np
import pytest

from lightly_marlin.lip_sync import KeptPairs, PairMeasures, PairRecord, VideoPair
from lightly_marlin.utils.errors import UsageError

SETTINGS = {"fid_on": "faces", "syncnet": {"name": "a", "sha256": "b"}}


@pytest.fixture
def pair(tmp_path):
    files = tmp_path / "real.mp4", tmp_path / "generated.mp4"
    for file in files:
        file.write_text("video")
    return VideoPair("x/talk.1", *files)


RECORD = PairRecord("x/talk.1", "", ["a note"], 1.5, {"lse_d": 0.1}, {"lse_d": 1 / 3})
ARRAYS = {"syncnet/real": np.arange(31.0), "strip/real": np.zeros((1, 2, 2, 3))}


def test_kept__come_back_as_they_were(pair, tmp_path):
    with KeptPairs(tmp_path / "out", SETTINGS) as kept:
        assert kept.load(pair) is None
        kept.save(pair, PairMeasures(RECORD, ARRAYS))
    with KeptPairs(tmp_path / "out", dict(SETTINGS)) as kept:
        assert kept.load(pair) == RECORD
        (curve,) = kept.arrays([pair.name], "syncnet/real")
        np.testing.assert_array_equal(curve, ARRAYS["syncnet/real"])
        assert list(kept.arrays([pair.name], "inception/real")) == []


def test_kept__not_of_changed_or_damaged_files(pair, tmp_path):
    with KeptPairs(tmp_path / "out", SETTINGS) as kept:
        kept.save(pair, PairMeasures(RECORD, {}))
        pair.generated.write_text("another video")
        assert kept.load(pair) is None
        kept.save(pair, PairMeasures(RECORD, {}))
        assert kept.load(pair) == RECORD
        file = tmp_path / "out" / "pairs" / "x" / "talk.1.npz"
        file.write_bytes(file.read_bytes()[:100])
        assert kept.load(pair) is None


def test_kept__refuses_other_settings_and_a_second_process(tmp_path):
    out = tmp_path / "out"
    with (
        KeptPairs(out, SETTINGS),
        pytest.raises(UsageError, match="Another process is writing to the folder"),
    ):
        KeptPairs(out, SETTINGS)
    with pytest.raises(UsageError, match=r"begun with --fid-on faces, not none\. Give"):
        KeptPairs(out, SETTINGS | {"fid_on": None})
    with pytest.raises(UsageError, match="--syncnet name a, sha256 b, not name a, sha"):
        KeptPairs(out, SETTINGS | {"syncnet": {"name": "a", "sha256": "c"}})
    (out / "settings.json").write_text("{")
    with pytest.raises(UsageError, match=r"settings\.json cannot be read"):
        KeptPairs(out, SETTINGS)


def test_kept__folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file cannot be written: .*another --out"):
        KeptPairs(tmp_path / "file", SETTINGS)
