import numpy as np
import torch

from lightly_marlin.models.patches import patchify
from lightly_marlin.visualization import reconstruction_sheet


def test_reconstruction_sheet__perfect_prediction_shows_the_original():
    videos = torch.randint(0, 256, (2, 3, 4, 32, 32), dtype=torch.uint8)
    idx_mask = torch.tensor([[0, 1, 2, 5], [1, 3, 6, 7]])
    target = patchify(videos.float() / 255)[torch.arange(2).unsqueeze(1), idx_mask]
    sheet = np.asarray(reconstruction_sheet(videos, idx_mask, target, num_frames=2))
    row = 32 + 16
    assert sheet.shape == (2 * 4 * row, 2 * 34, 3)
    original, _, visible, reconstructed = (
        sheet[index * row + 16 : (index + 1) * row, :32] for index in range(4)
    )
    assert np.array_equal(original, videos[0, :, 0].permute(1, 2, 0))
    assert np.array_equal(original, reconstructed)
    assert np.abs(visible[:16, :16].astype(int) - 128).max() <= 1
