"""The losses of one batch by any set of objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from lightly_marlin.models import EmaTeacher, Marlin
from lightly_marlin.models.grouped_casts import grouped_casts
from lightly_marlin.training.objectives.objective import Objective, teacher_for
from lightly_marlin.training.objectives.pixels import Pixels
from lightly_marlin.training.objectives.step_context import StepContext, ToPixels
from lightly_marlin.transforms.clip_draws import Randomness

__all__ = ["ObjectiveLosses", "ObjectiveStep"]


class ObjectiveLosses(NamedTuple):
    """Losses of one batch.

    Attributes:
        total: Weighted sum of the objectives, with its graph.
        weighted: The terms of the sum by name, with their graphs.
        reported: Detached and unweighted losses by name, and what objectives report of
            updates of their own.
    """

    total: Tensor
    weighted: dict[str, Tensor]
    reported: dict[str, Tensor]


class ObjectiveStep(nn.Module):
    """A model with a weighted set of objectives, for a training step of any loop.

        step = ObjectiveStep(model, {"pixels": (Pixels.of(model), 1.0)})
        losses = step({"video": clips}, idx_keep, idx_mask)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        step.after_update(momentum)

    All forward passes are in its own, so that `DistributedDataParallel` can wrap it, if
    there is no `Critic`: its update runs a backward pass within, before the wrapper is
    ready to average gradients. `MarlinPretraining` trains one in several processes.

    Attributes:
        model: The masked autoencoder.
        objectives: The objectives by name, without those of weight 0.
        weights: Their weights.
        teacher: Teacher of the encoder; None if no objective needs one.
    """

    def __init__(
        self,
        model: Marlin,
        objectives: Mapping[str, tuple[Objective, float]],
        teacher: EmaTeacher | None = None,
    ) -> None:
        """Composes the objectives.

        Args:
            model: The masked autoencoder.
            objectives: Objectives and weights by name, in the order in which they are
                prepared and added. A weight of 0 removes one, and with it the forward
                passes that only it needed.
            teacher: Teacher of `model.encoder` whose call returns tokens; made if it is
                left out and needed.

        Raises:
            ValueError: If no objective is left, two give the decoder different targets,
                or a weight is negative.
        """
        super().__init__()
        for name, (_, weight) in objectives.items():
            if not weight >= 0:
                raise ValueError(f"Invalid weight of {name} {weight}: must be >= 0.")
        used = {name: pair for name, pair in objectives.items() if pair[1] > 0}
        if not used:
            raise ValueError("Invalid objectives: none has a weight above 0.")
        if sum(isinstance(objective, Pixels) for objective, _ in used.values()) > 1:
            raise ValueError(
                "Invalid objectives: the decoder has one output, and two of them "
                "compare it with pixels."
            )
        self.model = model
        self.objectives = nn.ModuleDict({name: pair[0] for name, pair in used.items()})
        self.weights = {name: pair[1] for name, pair in used.items()}
        self.teacher = teacher_for(self.objectives.values(), model.encoder, teacher)

    def forward(
        self,
        batch: Mapping[str, Any],
        idx_keep: Tensor,
        idx_mask: Tensor,
        generator: Randomness | None = None,
    ) -> ObjectiveLosses:
        """Computes the losses of a batch, after the objectives' own updates.

        Args:
            batch: "video", clips (B, 3, T, H, W), and what the objectives need.
            idx_keep: int64 indices of the visible tokens, (B, n_keep).
            idx_mask: int64 indices of the masked tokens, (B, n_mask).
            generator: Source of randomness of objectives that draw.

        Raises:
            ValueError: If the batch lacks what an objective needs.
        """
        with grouped_casts(self.model):
            return self._losses(batch, idx_keep, idx_mask, generator)

    def _losses(
        self,
        batch: Mapping[str, Any],
        idx_keep: Tensor,
        idx_mask: Tensor,
        generator: Randomness | None,
    ) -> ObjectiveLosses:
        context = StepContext(
            self.model,
            batch,
            idx_keep,
            idx_mask,
            teacher=self.teacher,
            to_pixels=self._to_pixels(),
            generator=generator,
        )
        reported: dict[str, Tensor] = {}
        for name, objective in self._items():
            if missing := sorted(objective.needs - batch.keys()):
                raise ValueError(f"Invalid batch: {name} needs {', '.join(missing)}.")
            reported |= objective.prepare(context)
        weighted: dict[str, Tensor] = {}
        for name, objective in self._items():
            loss = objective(context)
            reported[name] = loss.detach()
            weighted[name] = self.weights[name] * loss
        reported |= context.parts
        total, *others = weighted.values()
        for term in others:
            total = total + term
        return ObjectiveLosses(total, weighted, reported)

    def after_update(self, momentum: float) -> None:
        """Moves the teacher and what else follows the model, after an optimizer's step.

        Args:
            momentum: Momentum of the teacher in [0, 1]; see `linear_momentum`.
        """
        if self.teacher is not None:
            self.teacher.update(self.model.encoder, momentum)
        for _, objective in self._items():
            objective.after_update(momentum)

    def _to_pixels(self) -> ToPixels | None:
        decoding = [part for _, part in self._items() if isinstance(part, Pixels)]
        return decoding[0].to_pixels if decoding else None

    def _items(self) -> list[tuple[str, Objective]]:
        items: list[Any] = list(self.objectives.items())
        return items
