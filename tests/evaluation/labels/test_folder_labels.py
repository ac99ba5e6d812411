import pytest

from lightly_marlin.evaluation.labels.folder_labels import folder_labels
from lightly_marlin.utils.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    def folder(*names):
        root = tmp_path / "moods"
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        return root

    return folder


def test_folder_labels__a_folder_per_class(folder):
    root = folder("sad/a.mp4", "glad/p1/b.avi", "sad/notes.txt", "glad/.hidden.mp4")
    table = folder_labels(root)
    assert table.name == "moods"
    assert table.target.kind == "multiclass"
    assert table.target.names == ("glad", "sad")
    assert table.items == table.groups == ("glad/p1/b.avi", "sad/a.mp4")
    assert table.labels[:, 0].tolist() == [0, 1]
    assert table.splits is None


def test_folder_labels__splits_above_the_classes(folder):
    root = folder("train/x/a.mp4", "valid/y/b.mp4", "test/x/c.mp4", "test/y/p/d.mp4")
    table = folder_labels(root)
    assert table.target.names == ("x", "y")
    videos = ("test/x/c.mp4", "test/y/p/d.mp4", "train/x/a.mp4", "valid/y/b.mp4")
    assert table.videos == videos
    assert table.splits == ("test", "test", "train", "val")
    assert table.labels[:, 0].tolist() == [0, 1, 0, 1]


def test_folder_labels__classes_called_like_splits(folder):
    table = folder_labels(folder("train/a.mp4", "test/b.mp4", "bus/c.mp4"))
    assert table.target.names == ("bus", "test", "train")
    assert table.splits is None


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.mp4", "x/b.mp4"], "The video .*a.mp4 is in no class. Expected are FOLDER"),
        (["x/a.mp4", "x/b.mp4"], "videos of one class only, 'x'"),
        (["train/x/a.mp4", "test/x/b.mp4"], "videos of one class only, 'x'"),
        (["x/a.txt"], "holds no video"),
    ],
)
def test_folder_labels__errors(folder, names, message):
    with pytest.raises(UsageError, match=message):
        folder_labels(folder(*names))
