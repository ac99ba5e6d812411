"""Projection and prediction head of instance discrimination."""

from __future__ import annotations

from lightly.models.modules.heads import ProjectionHead
from torch import nn

__all__ = ["InstanceHead"]


class InstanceHead(ProjectionHead):  # type: ignore[misc]
    """MLP with one hidden layer and LayerNorm, FSFM's projector and predictor [0].

    BYOL's heads have batch norm in its place, which needs more than one clip per device
    and whose statistics a teacher has to follow. The online branch has two heads, the
    target branch a teacher of the first:

        projector, predictor = InstanceHead(768), InstanceHead(256)
        target_projector = EmaTeacher(projector)
        online = predictor(projector(encoder.encode(clips, idx_keep=idx_keep).mean(1)))
        target = target_projector(teacher(clips).mean(1))
        loss = InstanceDiscriminationLoss()(online, target)

    FSFM averages the tokens of a decoder of its own; here they are the encoder's.
    Weights are initialised Kaiming-normal (fan out), biases zero.

    - [0]: FSFM, 2024, https://arxiv.org/abs/2412.12032

    Args:
        input_dim: Width D of the input: the encoder's for a projector, the projector's
            `output_dim` for a predictor.
        hidden_dim: Width of the hidden layer.
        output_dim: Width E of the output.
    """

    def __init__(
        self, input_dim: int, hidden_dim: int = 4096, output_dim: int = 256
    ) -> None:
        super().__init__(
            [
                # With a norm, Lightly's head has a bias only if told so.
                (input_dim, hidden_dim, nn.LayerNorm(hidden_dim), nn.ReLU(), True),
                (hidden_dim, output_dim, None, None, True),
            ]
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(
                    layer.weight, mode="fan_out", nonlinearity="relu"
                )
                nn.init.zeros_(layer.bias)
