"""Token of a clip by its name."""

from __future__ import annotations

from lightly_marlin.utils.errors import UsageError

__all__ = ["parse_token"]


def parse_token(text: str, grid: tuple[int, int, int]) -> int | None:
    """Returns the index of the token that a text names.

    Args:
        text: "middle", "TIME,ROW,COLUMN" in the grid of tokens, or "mean".
        grid: Tokens in time, height and width.

    Returns:
        The index in (time, row, column) order; None for the mean of all tokens.

    Raises:
        UsageError: A ValueError, if there is no such token.
    """
    if text == "mean":
        return None
    if text == "middle":
        place = [size // 2 for size in grid]
    else:
        parts = text.split(",")
        place = [int(part) if part.isdecimal() else -1 for part in parts]
    if len(place) != 3 or not all(
        0 <= number < size for number, size in zip(place, grid, strict=True)
    ):
        raise UsageError(
            f"Invalid token {text}. Supported are middle, mean, and TIME,ROW,COLUMN "
            f"from 0,0,0 to {','.join(str(size - 1) for size in grid)}."
        )
    return (place[0] * grid[1] + place[1]) * grid[2] + place[2]
