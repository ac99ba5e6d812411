"""The benchmark of the engines runs, and reports nothing if they differ."""

import pytest

from lightly_marlin.utils.errors import UsageError


def test_shard_engines__refuses_shards_that_differ(load_benchmark, tmp_path):
    module = load_benchmark("shard_engines")
    for name, content in (("one", b"a"), ("other", b"b")):
        folder = tmp_path / name / "shards" / "00000"
        folder.mkdir(parents=True)
        (folder / "tracks.tar").write_bytes(content)
    module.check_equal(tmp_path / "one", tmp_path / "one")
    with pytest.raises(UsageError, match=r"differ in shards/00000/tracks\.tar"):
        module.check_equal(tmp_path / "one", tmp_path / "other")


@pytest.mark.slow
def test_shard_engines__runs(tmp_path, demo_videos, run_benchmark, read_result):
    options = ("--shards", 2, "--repeats", 1, "--out", tmp_path)
    run_benchmark("shard_engines", demo_videos, *options)
    result = read_result(tmp_path, "shard_engines")
    assert result["tracks"] == 6
    assert {*result["ways"]} == {"one store", "shards", "ray"}
    assert all(way["seconds"]["median"] > 0 for way in result["ways"].values())
