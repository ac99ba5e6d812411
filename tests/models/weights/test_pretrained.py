from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import HfHubHTTPError

from lightly_marlin.models import Marlin, MarlinEncoder, ModelCard
from lightly_marlin.models.marlin import Marlin as MarlinClass

CARD = ModelCard(data="Talks.", license="mit")


class FakeApi:
    """Stands for the Hub: keeps what would have been sent, asks no network."""

    sent: dict

    def __init__(self, token=None):
        type(self).sent = {"token": token}

    def create_repo(self, repo_id, *, private, exist_ok):
        self.sent["created"] = (repo_id, private, exist_ok)

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        files = {p.name: p.read_bytes() for p in Path(folder_path).iterdir()}
        self.sent.update(repo_id=repo_id, files=files, message=commit_message)
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    return FakeApi


def test_encoders_are_saved_and_read(toy, tmp_path, toy_videos):
    encoder = MarlinEncoder(toy).eval()
    encoder.save_pretrained(tmp_path / "encoder")
    names = {p.name for p in (tmp_path / "encoder").iterdir()}
    assert names == {"model.safetensors", "config.json"}
    loaded = MarlinEncoder.from_pretrained(tmp_path / "encoder")
    assert type(loaded) is MarlinEncoder
    assert not loaded.training
    torch.testing.assert_close(loaded(toy_videos), encoder(toy_videos))


def test_encoders_are_read_from_whole_models(toy, tmp_path):
    model = Marlin(toy)
    model.save_pretrained(tmp_path)
    encoder = MarlinEncoder.from_pretrained(tmp_path)
    for name, tensor in model.encoder.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], tensor)


def test_whole_models_are_not_read_from_encoders(toy, tmp_path):
    MarlinEncoder(toy).save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match=r"missing enc_dec_proj\.weight.*encoder alone"
    ):
        Marlin.from_pretrained(tmp_path)


@pytest.mark.parametrize("text", ["No metadata here.", "---\nbroken: [\n---\n# Card"])
def test_cards_are_not_needed_to_read_a_model(text, toy, tmp_path):
    Marlin(toy).save_pretrained(tmp_path)
    (tmp_path / "README.md").write_text(text)
    assert isinstance(Marlin.from_pretrained(tmp_path), MarlinClass)


def test_cards_are_written_beside_the_weights(toy, tmp_path):
    Marlin(toy).save_pretrained(tmp_path, card=CARD)
    card = huggingface_hub.ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "mit"


def test_push_to_hub(hub, toy, tmp_path):
    model = Marlin(toy)
    url = model.push_to_hub("me/marlin", card=CARD, private=True, token="secret")
    assert url == "https://hub/me/marlin/commit/1"
    assert hub.sent["token"] == "secret"
    assert hub.sent["created"] == ("me/marlin", True, True)
    assert set(hub.sent["files"]) == {"model.safetensors", "config.json", "README.md"}
    assert b'weights="me/marlin"' in hub.sent["files"]["README.md"]
    for name, content in hub.sent["files"].items():
        (tmp_path / name).write_bytes(content)
    loaded = Marlin.from_pretrained(tmp_path)
    assert all(
        torch.equal(tensor, loaded.state_dict()[name])
        for name, tensor in model.state_dict().items()
    )


def test_push_to_hub_says_why_it_failed(hub, toy, monkeypatch):
    def refuse(self, repo_id, **options):
        response = SimpleNamespace(headers={}, request=None)
        raise HfHubHTTPError("403 Forbidden: no write access", response=response)

    monkeypatch.setattr(hub, "create_repo", refuse)
    with pytest.raises(ValueError, match="published as me/marlin: 403 Forbidden"):
        MarlinEncoder(toy).push_to_hub("me/marlin", card=CARD)
