import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.store.npy_rows import create_npy, map_array, read_rows


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    array = np.arange(20 * 6, dtype=np.uint16).reshape(20, 2, 3)
    np.save(path, array)
    return path, array


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.integers(0, 19), unique=True).map(sorted))
def test_read_rows(saved, rows):
    path, array = saved
    read = read_rows(path, np.uint16, (20, 2, 3), rows)
    assert read.dtype == np.uint16
    assert (read == array[rows]).all()


@pytest.mark.parametrize(
    ("dtype", "shape"), [(np.int16, (20, 2, 3)), (np.uint16, (19, 2, 3))]
)
def test_read_rows_of_something_else(saved, dtype, shape):
    with pytest.raises(ValueError, match="it holds uint16"):
        read_rows(saved[0], dtype, shape, [0])


def test_read_rows_cut_off(saved, tmp_path):
    (tmp_path / "a.npy").write_bytes(saved[0].read_bytes()[:-1])
    with pytest.raises(ValueError, match="it is cut off"):
        read_rows(tmp_path / "a.npy", np.uint16, (20, 2, 3), [19])


@pytest.mark.parametrize("content", [b"", b"hello" * 50, b"\x93NUMPY\x03\x00" * 20])
def test_read_rows_garbage(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        read_rows(tmp_path / "a.npy", np.uint16, (20, 2, 3), [0])
    with pytest.raises(FileNotFoundError):
        read_rows(tmp_path / "nowhere.npy", np.uint16, (20, 2, 3), [0])


def test_read_rows_never_unpickles(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="it holds object"):
        read_rows(tmp_path / "a.npy", np.uint16, (1,), [0])


def test_map_array(saved):
    path, array = saved
    mapped = map_array(path, np.uint16, (20, 2, 3))
    assert isinstance(mapped, np.memmap)
    assert mapped.dtype == np.uint16
    assert np.array_equal(mapped, array)
    with pytest.raises(ValueError, match="read-only"):
        mapped[0] = 0


def test_map_array_of_something_else(saved, tmp_path):
    with pytest.raises(ValueError, match=r"it holds uint16 \(20, 2, 3\), not int16"):
        map_array(saved[0], np.int16, (20, 2, 3))
    (tmp_path / "a.npy").write_bytes(saved[0].read_bytes()[:-1])
    with pytest.raises(ValueError, match="it is cut off"):
        map_array(tmp_path / "a.npy", np.uint16, (20, 2, 3))
    with pytest.raises(FileNotFoundError):
        map_array(tmp_path / "nowhere.npy", np.uint16, (20, 2, 3))


def test_create_npy_is_what_numpy_writes(saved, tmp_path):
    path, array = saved
    with create_npy(tmp_path / "a.npy", array.dtype, array.shape) as file:
        for row in array:
            file.write(row.tobytes())
    assert (tmp_path / "a.npy").read_bytes() == path.read_bytes()
