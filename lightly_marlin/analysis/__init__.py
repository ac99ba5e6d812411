"""Analysis of features, used by pictures of them only."""

from __future__ import annotations

from lightly_marlin.analysis.token_maps import token_attention, token_similarity

__all__ = [
    "token_attention",
    "token_similarity",
]
