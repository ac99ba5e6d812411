import torch
from PIL import Image

from lightly_marlin.visualization import PanelText, panel_sheet, write_panels


def test_write_panels(tmp_path):
    grey = torch.arange(4.0).div(4).view(1, 1, 4, 1, 1).expand(1, 3, 4, 32, 32)
    text = PanelText("title")
    write_panels(tmp_path, "a", {"grey": grey}, [0, 2], 1.0, text)
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.size == panel_sheet({"grey": grey}, [0, 2], text=text).size
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.n_frames, film.info["duration"]) == (4, 250)
    assert len(list(tmp_path.iterdir())) == 2
