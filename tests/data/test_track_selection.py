import multiprocessing
import pickle

import numpy as np
import pytest

from lightly_marlin.data.track_selection import TrackSelection
from lightly_marlin.utils.errors import UsageError

MANY = np.arange(0, 300_000, 3)


@pytest.mark.parametrize("indices", [np.arange(100_000), np.array([3, 9]), MANY])
def test_a_copy_is_equal_and_small(indices):
    selection = TrackSelection(indices, 300_000 if indices is MANY else 100_000)
    pickled = pickle.dumps(selection)
    assert len(pickled) < 500
    copy = pickle.loads(pickled)
    assert len(copy) == len(indices)
    np.testing.assert_array_equal(copy.indices, indices)
    # Of a copy, too.
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(copy)).indices, indices)


def test_the_file_goes_with_its_selection():
    selection = TrackSelection(MANY, 300_000)
    pickled = pickle.dumps(selection)
    assert pickle.dumps(selection) == pickled
    copy = pickle.loads(pickled)
    del copy
    assert len(pickle.loads(pickled)) == len(MANY)
    del selection
    with pytest.raises(UsageError, match="the process that made it has ended"):
        pickle.loads(pickled)


def _sum(selection):
    return int(selection.indices.sum())


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_other_processes(method):
    selection = TrackSelection(MANY, 300_000)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(_sum, (selection,)) == MANY.sum()
    assert _sum(pickle.loads(pickle.dumps(selection))) == MANY.sum()
