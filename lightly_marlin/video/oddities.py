"""Oddities of a video that people should know of, though it is used."""

from __future__ import annotations

__all__ = ["Oddities"]

_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Transfer characteristics of high dynamic range, by their numbers in ITU-T H.273."""

_LISTED_SIZES = 4


class Oddities:
    """Collects what is odd about the frames of a video while they come by."""

    def __init__(self) -> None:
        self._sizes: dict[tuple[int, int], None] = {}  # In the order of appearance.
        self._last_size: tuple[int, int] | None = None
        self._num_changes = -1
        self._transfer: str | None = None

    def look_at(self, size: tuple[int, int], transfer: int) -> None:
        """Takes a frame.

        Args:
            size: Width and height in pixels as it is shown.
            transfer: Number of its transfer characteristics in ITU-T H.273.
        """
        if size != self._last_size:
            self._last_size = size
            self._sizes[size] = None
            self._num_changes += 1
        if self._transfer is None:
            self._transfer = _HDR_TRANSFERS.get(transfer)

    def notes(self, num_skipped: int) -> list[str]:
        """Returns a phrase for each oddity.

        Args:
            num_skipped: Number of damaged packets.
        """
        notes = []
        if num_skipped:
            notes.append(f"{num_skipped} damaged packets were skipped")
        if self._num_changes > 0:
            sizes = [f"{width}x{height}" for width, height in self._sizes]
            listed = ", ".join(sizes[:_LISTED_SIZES])
            notes.append(
                f"the size of its frames changes {self._num_changes} times ({listed}"
                f"{', ...' if len(sizes) > _LISTED_SIZES else ''} pixels)"
            )
        if self._transfer is not None:
            notes.append(f"its colours are HDR ({self._transfer}), not tone-mapped")
        return notes
