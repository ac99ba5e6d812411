import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from lightly_marlin.lip_sync import SyncExpert, Wav2LipGenerator


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    expert = SyncExpert(num_frames=3, width=1)
    # Statistics of batches belong to the weights.
    expert(torch.rand(4, 3, 3, 96, 96), torch.randn(4, 1, 80, 10))
    expert.save_pretrained(tmp_path / "run" / "expert")
    return expert.eval(), tmp_path / "run" / "expert"


def test_saved_networks_come_back(saved):
    expert, folder = saved
    loaded = SyncExpert.from_pretrained(folder)
    assert (loaded.num_frames, loaded.width, loaded.training) == (3, 1, False)
    inputs = torch.rand(2, 3, 3, 96, 96), torch.randn(2, 1, 80, 10)
    torch.testing.assert_close(loaded(*inputs), expert(*inputs), rtol=0, atol=0)
    files = sorted(path.name for path in folder.iterdir())
    assert files == ["config.json", "model.safetensors"]
    assert json.loads((folder / "config.json").read_text()) == {
        "class": "SyncExpert",
        "settings": {"num_frames": 3, "width": 1},
    }


def test_from_pretrained__names_another_network(saved):
    with pytest.raises(ValueError, match="describes a SyncExpert, not a Wav2LipGen"):
        Wav2LipGenerator.from_pretrained(saved[1])


def test_from_pretrained__nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*nowhere"):
        SyncExpert.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        SyncExpert.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "describes no network of lip synchronisation"),
        ("[]", "describes no network of lip synchronisation"),
        ('{"class": "SyncExpert"}', "describes no network of lip synchronisation"),
        ('{"class": "SyncExpert", "settings": {"depth": 3}}', "argument 'depth'"),
        ('{"class": "SyncExpert", "settings": {"width": 0}}', "Invalid width 0"),
    ],
)
def test_from_pretrained__says_what_is_wrong_with_the_configuration(saved, text, said):
    (saved[1] / "config.json").write_text(text)
    with pytest.raises(ValueError, match=rf"config\.json.*{said}"):
        SyncExpert.from_pretrained(saved[1])


def change(tensors, case):
    name = "face_encoder.0.0.weight"
    if case == "missing":
        del tensors[name]
    elif case == "unexpected":
        tensors["more"] = torch.zeros(1)
    elif case == "shape":
        tensors[name] = torch.zeros(1)
    else:
        tensors[name][0, 0, 0, 0] = float("nan")


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("missing", r"missing face_encoder\.0\.0\.weight"),
        ("unexpected", "unexpected more"),
        ("shape", r"wrong shape: face_encoder\.0\.0\.weight is \(1,\) instead of \(1,"),
        ("nan", r"NaN or infinity in face_encoder\.0\.0\.weight"),
    ],
)
def test_from_pretrained__says_which_weights_do_not_fit(saved, case, said):
    path = saved[1] / "model.safetensors"
    tensors = load_file(path)
    change(tensors, case)
    save_file(tensors, path)
    with pytest.raises(ValueError, match=rf"do not fit SyncExpert: {said}"):
        SyncExpert.from_pretrained(saved[1])


def test_from_pretrained__many_names_are_cut_short(saved):
    save_file({"a": torch.zeros(1)}, saved[1] / "model.safetensors")
    with pytest.raises(ValueError, match=r"and \d+ more; unexpected a\."):
        SyncExpert.from_pretrained(saved[1])
