"""A training step crosses into the kernels as seldom as it can."""

from collections import Counter

import torch
from torch.optim import SGD
from torch.utils._python_dispatch import TorchDispatchMode

from lightly_marlin.models import Marlin, MarlinConfig, MarlinDiscriminator
from lightly_marlin.training import PretrainStep
from lightly_marlin.transforms import tube_token_mask

CONFIG = MarlinConfig(
    img_size=32,
    num_frames=4,
    encoder_dim=24,
    encoder_depth=1,
    encoder_num_heads=2,
    decoder_dim=12,
    decoder_depth=1,
    decoder_num_heads=2,
)


class _OpsOfOurs(TorchDispatchMode):
    """Counts the calls of this package's ops, forward and backward."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "lightly_marlin":
            self.calls[func._opname] += 1
        return func(*args, **(kwargs or {}))


def _count(discriminator):
    model = Marlin(CONFIG)
    networks = [model] if discriminator is None else [model, discriminator]
    optimizers = [SGD(network.parameters(), 1e-3) for network in networks]
    step = PretrainStep(
        model,
        discriminator,
        optimizers[0],
        None if len(optimizers) == 1 else optimizers[1],
    )
    videos = torch.randint(256, (2, 3, 4, 32, 32), dtype=torch.uint8)
    with _OpsOfOurs() as mode:
        step(videos, *tube_token_mask((2, CONFIG.grid), 0.5))
    return dict(mode.calls)


ONCE = {
    "gather_tubelets": 1,  # what the encoder embeds
    "assemble_decoder_tokens": 1,  # what the decoder sees
    "masked_token_losses": 1,  # the loss and its gradient
    "sum_rows": 1,  # the gradient of the mask token
}


def test_one_boundary_on_each_path():
    assert _count(None) == ONCE


def test_discriminator_gathers_the_real_pixels():
    critic = MarlinDiscriminator(CONFIG.patch_dim, 16)
    assert _count(critic) == {**ONCE, "gather_tubelets": 2}
