import pytest
import yaml

from lightly_marlin.models import ModelCard
from lightly_marlin.models.config import named_config


@pytest.fixture
def card():
    return ModelCard(
        data="Talks of 12 volunteers, with their consent.",
        license="cc-by-nc-4.0",
        datasets=("someone/talks",),
        training="Trained for a day.",
        figures={"held-out loss": 0.012345},
    )


def test_states_what_users_need(card):
    config = named_config("marlin_vit_tiny")
    text = card.render(config, "someone/marlin", name="marlin_vit_tiny")
    for heading in ("Data", "Licence of the weights", "Known biases", "Figures"):
        assert f"\n## {heading}\n" in text
    assert "12 volunteers" in text
    assert "dlib" in text
    assert "| held-out loss | 0.01235 |" in text
    assert 'create_marlin_encoder("marlin_vit_tiny", weights="someone/marlin")' in text
    assert "(2, 192)" in text


def test_metadata_is_what_the_hub_reads(card):
    text = card.render(named_config("marlin_vit_base"), "someone/marlin")
    metadata = yaml.safe_load(text.split("---\n")[1])
    assert metadata["license"] == "cc-by-nc-4.0"
    assert metadata["library_name"] == "lightly_marlin"
    assert metadata["datasets"] == ["someone/talks"]


def test_no_figures_are_said_to_be_none():
    card = ModelCard(data="Talks.", license="mit")
    text = card.render(named_config("marlin_vit_base"), "someone/marlin")
    assert "None have been measured" in text
    assert "datasets" not in text.split("---\n")[1]


@pytest.mark.parametrize("change", [{"data": " "}, {"license": ""}])
def test_data_and_licence_are_not_left_out(change):
    (name,) = change
    with pytest.raises(ValueError, match=f"Invalid {name} of a model card"):
        ModelCard(**{"data": "Talks.", "license": "mit", **change})
