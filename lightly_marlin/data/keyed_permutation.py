"""Permutation of any length that needs no memory: its values are computed one by one.

A Feistel network of four rounds permutes the numbers below a power of four; those
beyond the length are permuted again until they fall below it.

- [0]: Ciphers with Arbitrary Finite Domains, 2002, Black and Rogaway
"""

from __future__ import annotations

import hashlib

__all__ = ["KeyedPermutation"]

_ROUNDS = 4
_MASK = 2**64 - 1


class KeyedPermutation:
    """Permutation of the numbers below a length, a pure function of its key.

        order = KeyedPermutation(10**9, "0/3")
        sorted(order[place] for place in range(10**9))  # every number once

    Values are statistically mixed, not secret.
    """

    def __init__(self, length: int, key: str) -> None:
        """Derives the keys of the rounds.

        Args:
            length: Number of values, at least 1.
            key: Any text.

        Raises:
            ValueError: If the length is below 1.
        """
        if length < 1:
            raise ValueError(f"Invalid length {length}: must be at least 1.")
        self.length = length
        # Halves of equal width; at most four times as many numbers as are needed.
        self._bits = max(1, -(-(length - 1).bit_length() // 2))
        digest = hashlib.blake2b(key.encode(), digest_size=8 * _ROUNDS).digest()
        self._keys = [
            int.from_bytes(digest[8 * i : 8 * i + 8], "little") for i in range(_ROUNDS)
        ]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, place: int) -> int:
        """Returns the value at a place in [0, length)."""
        if not 0 <= place < self.length:
            raise IndexError(f"Invalid place {place}: must be in [0, {self.length}).")
        value = place
        while True:
            value = self._permute(value)
            if value < self.length:
                return value

    def _permute(self, value: int) -> int:
        low_bits = (1 << self._bits) - 1
        left, right = value >> self._bits, value & low_bits
        for key in self._keys:
            left, right = right, left ^ (_mix(right ^ key) & low_bits)
        return left << self._bits | right


def _mix(value: int) -> int:
    """Returns 64 well mixed bits: the finaliser of SplitMix64."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
    return value ^ (value >> 31)
