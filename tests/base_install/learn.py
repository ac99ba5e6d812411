"""Masks, model, losses and kernels, with gradients; and weights on disk."""

import torch

from lightly_marlin import kernels
from lightly_marlin.loss import MarlinAdversarialLoss, MarlinReconstructionLoss
from lightly_marlin.models import Marlin, MarlinDiscriminator, create_marlin
from lightly_marlin.transforms import fasking_token_mask, motion_token_mask

model = create_marlin("marlin_vit_tiny", img_size=32)
critic = MarlinDiscriminator(model.config.patch_dim, 8)
clips = torch.randint(0, 256, (2, 3, 16, 32, 32), dtype=torch.uint8)
labels = torch.ones(2, 16, 32, 32, dtype=torch.int64)
assert motion_token_mask(clips)[0].shape[0] == 2
idx_keep, idx_mask = fasking_token_mask(labels, 0.75)
pred = model(clips, idx_keep, idx_mask)
loss = MarlinReconstructionLoss()(pred, clips, idx_mask)
loss = loss + MarlinAdversarialLoss().generator_loss(critic(pred))
loss.backward()
assert all(p.grad is not None for p in model.encoder.parameters() if p.requires_grad)
assert kernels.gather_tubelets(clips, idx_mask).shape == pred.shape
model.save_pretrained("model")
tokens = Marlin.from_pretrained("model").eval().encoder.encode(clips)
torch.testing.assert_close(tokens, model.eval().encoder.encode(clips))
