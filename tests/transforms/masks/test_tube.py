from lightly_marlin.transforms import tube_token_mask


def test_tube_token_mask__uses_twenty_positions():
    """160 tokens in tubes, less the four that the released code drops."""
    kept, _ = tube_token_mask((10, (8, 14, 14)))
    for row in kept:
        positions, counts = (row % 196).unique(return_counts=True)
        assert len(positions) == 20
        assert counts.sum() == 156
