import json

import pytest
import torch

from lightly_marlin.lip_sync import (
    LipSyncGenerator,
    Wav2LipGenerator,
    load_generator,
)
from lightly_marlin.lip_sync.networks.pretrained import LipSyncPretrained
from lightly_marlin.utils.errors import UsageError


class OtherNetwork(LipSyncPretrained, torch.nn.Linear):
    def settings(self):
        return {}


def test_load_generator__tells_the_kind(tmp_path, encoder):
    models = LipSyncGenerator(encoder, size=24, audio_width=1), Wav2LipGenerator(2)
    for model in models:
        model.save_pretrained(tmp_path / "w")
        loaded = load_generator(tmp_path / "w")
        assert type(loaded) is type(model)
        assert not loaded.training
        for name, value in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], value)


def test_load_generator__refuses_other_folders(tmp_path):
    OtherNetwork(2, 2).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="no generator of lips, but OtherNetwork"):
        load_generator(tmp_path)
    for text in ("[]", "{}", "nothing", json.dumps({"class": None})):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(UsageError, match="no generator of lips, but something els"):
            load_generator(tmp_path)
    with pytest.raises(UsageError, match="There is no file or folder"):
        load_generator(tmp_path / "missing")
