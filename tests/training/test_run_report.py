import pytest

from lightly_marlin.training import card_of_run, run_report
from lightly_marlin.training.run_folder import MetricsCsv, RunFolder
from lightly_marlin.training.settings import PretrainSettings, write_settings
from lightly_marlin.training.validation import VALIDATION_COLUMNS

ABOUT = {"data": "Talks.", "license": "mit"}


def test_card_of_run(tmp_path):
    settings = PretrainSettings(batch_size=8, mask="tube", weights="there/base.full.pt")
    write_settings(settings, tmp_path / "config.yaml")
    csv = MetricsCsv(tmp_path / "validation.csv", VALIDATION_COLUMNS)
    csv.truncate(0)
    for step, loss in ((10, 0.5), (20, 0.25)):
        csv.append(dict(zip(VALIDATION_COLUMNS, (step, loss, 1.0, loss), strict=True)))
    card = card_of_run(tmp_path, **ABOUT)
    assert (card.data, card.license) == ("Talks.", "mit")
    assert list(card.figures.values()) == [20, 0.25, 1.0]
    assert "batches of 8 clips, masked by tube at a ratio of 0.9" in card.training
    assert "from the weights base.full.pt, whose licence binds" in card.training


def test_card_of_run__without_a_baseline(tmp_path):
    """Pixels made with the true mean of each token are no match for a mean colour."""
    settings = PretrainSettings(objectives="norm_pixels=1")
    write_settings(settings, tmp_path / "config.yaml")
    csv = MetricsCsv(tmp_path / "validation.csv", VALIDATION_COLUMNS[:2])
    csv.truncate(0)
    csv.append({"step": 10, "loss/reconstruction": 0.5})
    figures = card_of_run(tmp_path, **ABOUT).figures
    assert figures == {
        "training steps": 10,
        "reconstruction loss of held-out clips": 0.5,
    }


def test_a_run_without_validation_has_no_figures(tmp_path):
    write_settings(PretrainSettings(), tmp_path / "config.yaml")
    card = card_of_run(tmp_path, **ABOUT)
    assert card.figures == {}
    assert "from random weights" in card.training


def test_no_run(tmp_path):
    with pytest.raises(ValueError, match=r"holds no run: there is no config\.yaml"):
        card_of_run(tmp_path, **ABOUT)


@pytest.mark.parametrize("fallbacks", [[], [("gather_tokens", "no kernel [yet]")]])
def test_summary_repeats_what_ran_without_its_kernel(
    fallbacks, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(run_report, "find_fallbacks", lambda: fallbacks)
    run_report.summarise_run(RunFolder(tmp_path), 20)
    lines = capsys.readouterr().out.splitlines()
    said = [line for line in lines if "plain PyTorch" in line]
    expected = [f"{name} ran in plain PyTorch: {why}." for name, why in fallbacks]
    assert said == expected
