"""Teacher whose weights are an exponential moving average of a student's."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["EmaTeacher", "linear_momentum"]


class EmaTeacher(nn.Module):
    """Copy of a module that follows it slowly and is never trained itself [0, 1].

    It has no gradients, computes without them, and stays in evaluation mode whatever
    the model around it does. Works on any module that can be deep-copied:

        teacher = EmaTeacher(backbone, method="encode")
        for step, images in enumerate(loader):
            targets = teacher(images)
            ...
            optimizer.step()
            teacher.update(backbone, linear_momentum(step, max_steps))

    Make it after the student's weights are loaded and before it is wrapped, and update
    it after the optimizer's step, as V-JEPA does; Lightly's examples update before the
    forward pass, one step later.

    The average is taken over the student's trainable parameters, with a linear
    interpolation that keeps equal values exactly equal. Lightly's `update_momentum`
    multiplies by m and adds (1 - m) times the student, which makes fixed positional
    embeddings drift. Parameters without gradient keep their first values. Buffers, such
    as the statistics of batch norm, are copied at every update, as
    `torch.optim.swa_utils.AveragedModel` does by default.

    Weights of 16 bits are refused: the small updates of a teacher are lost in their
    rounding. Run the teacher under autocast instead.

    - [0]: Mean teachers are better role models, 2017, https://arxiv.org/abs/1703.01780
    - [1]: V-JEPA, 2024, https://arxiv.org/abs/2404.08471

    Attributes:
        module: The copy.
        method: Name of the method that a call runs.
    """

    def __init__(self, module: nn.Module, method: str = "forward") -> None:
        """Copies the student.

        Args:
            module: The student; not modified.
            method: Name of the module's method that a call of the teacher runs. The
                `encode` of Lightly's and MARLIN's vision transformers returns
                normalised tokens (B, N, D).

        Raises:
            ValueError: If the module has no such method or has parameters of less than
                32 bits.
        """
        super().__init__()
        if not callable(getattr(module, method, None)):
            raise ValueError(
                f"Invalid method ({method!r}). {type(module).__name__} has none of "
                "this name."
            )
        _check_precision(module.named_parameters())
        self.module = copy.deepcopy(module).requires_grad_(False).eval()
        self.method = method
        self.eval()

    def train(self, mode: bool = True) -> EmaTeacher:
        """Stays in evaluation mode.

        Args:
            mode: Without effect.

        Returns:
            The teacher.
        """
        super().train(False)
        return self

    @torch.no_grad()
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the copy's method without gradients.

        Args:
            args: Passed on.
            kwargs: Passed on.

        Returns:
            The method's result.
        """
        return getattr(self.module, self.method)(*args, **kwargs)

    @torch.no_grad()
    def update(self, module: nn.Module, momentum: float) -> None:
        """Moves the weights towards the student's: k + (1 - m) (q - k).

        Args:
            module: The student, with the same parameters and buffers; not a wrapper of
                it, such as `DistributedDataParallel`.
            momentum: m in [0, 1]: 1 keeps the teacher, 0 makes it equal.

        Raises:
            ValueError: If the momentum is out of range, names of parameters or buffers
                differ, or a parameter has less than 32 bits.
        """
        if not 0 <= momentum <= 1:
            raise ValueError(f"Invalid momentum {momentum}: must be in [0, 1].")
        students = dict(module.named_parameters())
        teachers = dict(self.module.named_parameters())
        student_buffers = dict(module.named_buffers())
        buffers = dict(self.module.named_buffers())
        _check_names(students, teachers)
        _check_names(student_buffers, buffers)
        # Either may have been converted since the copy.
        _check_precision((*students.items(), *teachers.items()))
        trained = [name for name, value in students.items() if value.requires_grad]
        if trained:
            torch._foreach_lerp_(
                [teachers[name] for name in trained],
                [students[name] for name in trained],
                1 - momentum,
            )
        if buffers:
            torch._foreach_copy_(
                list(buffers.values()), [student_buffers[name] for name in buffers]
            )


def linear_momentum(
    step: int,
    total_steps: int,
    start: float = 0.998,
    end: float = 1.0,
    stretch: float = 1.25,
) -> float:
    """Momentum of a teacher that grows linearly, as in V-JEPA [0].

    The slope is that of a longer run, so with the defaults the last momentum is
    0.9996 and the teacher never stands still. BYOL's and FSFM's cosine from 0.996 to 1
    is `lightly.utils.scheduler.cosine_schedule(step, total_steps, 0.996, 1.0)`.

    - [0]: V-JEPA, 2024, https://arxiv.org/abs/2404.08471

    Args:
        step: Number of the step, from 0.
        total_steps: Steps of the training, at least 1.
        start: Momentum at step 0, in [0, 1].
        end: Momentum after `stretch` times `total_steps` and later, in [0, 1].
        stretch: Length of the schedule, as a multiple of `total_steps`.

    Returns:
        The momentum, between `start` and `end`.

    Raises:
        ValueError: If an argument is out of range.
    """
    if step < 0:
        raise ValueError(f"Invalid step {step}: must be at least 0.")
    if total_steps < 1:
        raise ValueError(f"Invalid total_steps {total_steps}: must be at least 1.")
    if not stretch > 0:
        raise ValueError(f"Invalid stretch {stretch}: must be positive.")
    for name, value in (("start", start), ("end", end)):
        if not 0 <= value <= 1:
            raise ValueError(f"Invalid {name} {value}: must be in [0, 1].")
    progress = min(1.0, step / (total_steps * stretch))
    return start + progress * (end - start)


def _check_precision(parameters: Iterable[tuple[str, Tensor]]) -> None:
    for name, parameter in parameters:
        if parameter.is_floating_point() and parameter.itemsize < 4:
            raise ValueError(
                f"Invalid dtype of {name} ({parameter.dtype}). A teacher needs weights "
                "of at least torch.float32; use autocast for speed."
            )


def _check_names(student: dict[str, Any], teacher: dict[str, Any]) -> None:
    if student.keys() != teacher.keys():
        different = sorted(student.keys() ^ teacher.keys())
        raise ValueError(
            f"Invalid module: {', '.join(different[:3])} in only one of student and "
            "teacher. Pass the module that was copied, without a wrapper around it."
        )
