"""Released training step, built on the modules of `marlin-pytorch` 0.3.4.

All tokens are embedded and then indexed by a boolean mask, the discriminator's step
runs the generator forward and backward, and the generator's step runs it again. Needs
`pip install marlin-pytorch==0.3.4`.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW

__all__ = [
    "ADVERSARIAL_WEIGHT",
    "LEARNING_RATE",
    "ReferenceDiscriminator",
    "ReferenceGenerator",
    "ReferenceStep",
]

LEARNING_RATE = 1e-4
ADVERSARIAL_WEIGHT = 0.01


class ReferenceGenerator(nn.Module):
    """Encoder, projection and decoder of marlin-pytorch, as its trainer joins them."""

    def __init__(self, name: str) -> None:
        super().__init__()
        from marlin_pytorch.config import resolve_config
        from marlin_pytorch.model.decoder import MarlinDecoder
        from marlin_pytorch.model.encoder import MarlinEncoder

        config = resolve_config(f"{name}_ytf")
        common = {
            "img_size": config.img_size,
            "patch_size": config.patch_size,
            "n_frames": config.n_frames,
            "mlp_ratio": config.mlp_ratio,
            "qkv_bias": config.qkv_bias,
            "init_values": config.init_values,
            "tubelet_size": config.tubelet_size,
        }
        self.encoder = MarlinEncoder(
            embed_dim=config.encoder_embed_dim,
            depth=config.encoder_depth,
            num_heads=config.encoder_num_heads,
            **common,
        )
        self.decoder = MarlinDecoder(
            embed_dim=config.decoder_embed_dim,
            depth=config.decoder_depth,
            num_heads=config.decoder_num_heads,
            **common,
        )
        self.enc_dec_proj = nn.Linear(
            config.encoder_embed_dim, config.decoder_embed_dim, bias=False
        )

    def forward(self, videos: Tensor, visible: Tensor) -> Tensor:
        """Predicts masked tokens of float clips; `visible` (B, N) is True if seen."""
        tokens = self.enc_dec_proj(self.encoder(videos, visible))
        prediction: Tensor = self.decoder(tokens, visible)
        return prediction


class ReferenceDiscriminator(nn.Sequential):
    """The critic of the released trainer: two plain linear layers."""

    def __init__(self, patch_dim: int, hidden_dim: int) -> None:
        layers = (nn.Linear(patch_dim, hidden_dim), nn.LeakyReLU())
        super().__init__(*layers, nn.Linear(hidden_dim, 1))


class ReferenceStep:
    """The released algorithm: two generator forwards and backwards in a step."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, bf16: bool = False
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator
        self.bf16 = bf16
        self.generator_optimizer = AdamW(
            [p for p in generator.parameters() if p.requires_grad],
            LEARNING_RATE,
            weight_decay=0.0,
        )
        self.discriminator_optimizer = AdamW(
            discriminator.parameters(), LEARNING_RATE, weight_decay=0.0
        )

    def __call__(self, videos: Tensor, visible: Tensor) -> None:
        """Trains on float clips (B, 3, T, H, W) and a boolean mask (B, N)."""
        context = (
            torch.autocast(videos.device.type, torch.bfloat16)
            if self.bf16
            else nullcontext()
        )
        with context:
            self.discriminator_optimizer.zero_grad()
            pred, target = self.predict(videos, visible)
            scores = self.discriminator(torch.cat([pred, target]))
            fake, real = scores.chunk(2)
            loss = fake.mean() - real.mean()
        loss.backward()
        self.discriminator_optimizer.step()
        with context:
            self.generator_optimizer.zero_grad()
            pred, target = self.predict(videos, visible)
            adversarial = -self.discriminator(pred).mean()
            loss = F.mse_loss(pred, target) + ADVERSARIAL_WEIGHT * adversarial
        loss.backward()
        self.generator_optimizer.step()

    def predict(self, videos: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Returns prediction and target of the masked tokens."""
        pred = self.generator(videos, visible)
        tubelets = videos.unfold(2, 2, 2).unfold(3, 16, 16).unfold(4, 16, 16)
        tubelets = tubelets.permute(0, 2, 3, 4, 1, 5, 6, 7)
        tubelets = tubelets.reshape(len(videos), visible.shape[1], -1)
        return pred, tubelets[~visible].view(len(videos), -1, tubelets.shape[-1])
