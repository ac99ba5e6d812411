import os

from lightly_marlin.jobs.fingerprint import same_file_state, take_fingerprint


def test_file_and_settings(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    os.utime(path, ns=(5, 7))
    found = take_fingerprint(path, {"stride": 2})
    assert found == {"size": 3, "mtime_ns": 7, "stride": 2}
    assert same_file_state(found, take_fingerprint(path, {"stride": 3}))
    path.write_bytes(b"abcd")
    assert not same_file_state(found, take_fingerprint(path, {"stride": 2}))


def test_a_file_out_of_reach(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    found = take_fingerprint(tmp_path / "link", {})
    assert found == {"size": None, "mtime_ns": None}
