"""Weight of the sync loss, which is zero until generated clips are good enough."""

from __future__ import annotations

from typing import Any

__all__ = ["SyncWeight"]


class SyncWeight:
    """Switch of the sync loss's weight: 0 at first, then `weight` for good [0].

    A generator first learns to draw faces: the expert's gradient on blurred mouths
    leads nowhere. Wav2Lip switches when the expert's loss on generated clips that are
    held out falls below 0.75, to a weight of 0.01, or 0.03 beside a critic of images.

        total = l1 + sync_weight.value * sync

    - [0]: https://github.com/Rudrabha/Wav2Lip

    Args:
        weight: Weight after the switch, positive.
        threshold: Loss below which it switches.

    Raises:
        ValueError: If a number is not positive.

    Attributes:
        value: The weight now.
    """

    def __init__(self, weight: float = 0.01, threshold: float = 0.75) -> None:
        for name, number in (("weight", weight), ("threshold", threshold)):
            if not number > 0:
                raise ValueError(f"Invalid {name} {number}: must be positive.")
        self.weight = weight
        self.threshold = threshold
        self.value = 0.0

    def update(self, loss: float) -> bool:
        """Switches if the loss is below the threshold.

        Args:
            loss: Sync loss on held-out clips; NaN does not switch.

        Returns:
            Whether it has switched just now.
        """
        switches = self.value == 0 and loss < self.threshold
        if switches:
            self.value = self.weight
        return switches

    def state_dict(self) -> dict[str, Any]:
        """Returns the state, for checkpoints."""
        return {"on": self.value > 0}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state; weight and threshold stay those of this object.

        Args:
            state: Result of `state_dict`.
        """
        self.value = self.weight if state["on"] else 0.0
