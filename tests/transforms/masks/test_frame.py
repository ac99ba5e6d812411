from lightly_marlin.transforms import frame_token_mask


def test_frame_token_mask__keeps_one_tubelet():
    kept, _ = frame_token_mask((10, (8, 14, 14)))
    assert all(len((row // 196).unique()) == 1 for row in kept)
