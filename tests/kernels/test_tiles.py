"""Sizes of tiles, and the ways to replace them."""

import os
import subprocess
import sys

import pytest

from lightly_marlin.kernels.tiles import (
    DEFAULT_TILES,
    TILES_VARIABLE,
    current_tiles,
    parse_tiles,
    row_tile,
    tubelet_tile,
    use_tiles,
)


@pytest.mark.parametrize("columns", [1, 3, 50, 192, 384, 768, 1536, 4096, 5000])
def test_row_tile(columns):
    tile = row_tile(columns)
    assert tile.rows * tile.columns == 2048
    assert tile.num_warps == 4
    assert tile.blocks * tile.columns >= columns > (tile.blocks - 1) * tile.columns


def test_tubelet_tile__few_channels_one_after_the_other():
    assert tubelet_tile(3, 512) == (1, 512, 1, 2)
    assert tubelet_tile(1, 3200) == (1, 1024, 4, 4)
    assert tubelet_tile(4, 36) == (1, 64, 1, 1)


def test_tubelet_tile__many_channels_side_by_side():
    assert tubelet_tile(5, 512) == (8, 512, 1, 8)
    assert tubelet_tile(64, 512) == (64, 64, 8, 8)
    assert tubelet_tile(65, 512) is None


def test_parse_tiles():
    assert parse_tiles("") == DEFAULT_TILES
    assert parse_tiles(str(DEFAULT_TILES)) == DEFAULT_TILES
    assert parse_tiles("tubelets=512/64") == (2048, 512, 512, 64)
    assert parse_tiles("rows=4096/1024") == (4096, 1024, 1024, 256)


@pytest.mark.parametrize(
    "text",
    [
        *("rows", "rows=512", "rows=512/512/512", "rows=a/b", "x=512/512"),
        *("rows=3/1", "rows=512/1024", "rows=16384/512", "rows=512/16"),
    ],
)
def test_parse_tiles__invalid(text):
    expected = rf"Invalid LIGHTLY_MARLIN_TILES \('{text}'\). It must look like 'rows="
    with pytest.raises(ValueError, match=expected):
        parse_tiles(text)


def test_use_tiles():
    with use_tiles(parse_tiles("rows=512/128,tubelets=256/64")):
        assert row_tile(256) == (2, 256, 1, 4)
        assert tubelet_tile(3, 512) == (1, 256, 2, 4)
        assert str(current_tiles()) == "rows=512/128,tubelets=256/64"
    assert current_tiles() == DEFAULT_TILES
    with pytest.raises(RuntimeError), use_tiles(parse_tiles("rows=512/128")):
        raise RuntimeError
    assert row_tile(256) == (8, 256, 1, 4)


def test_environment_variable():
    code = "from lightly_marlin.kernels.tiles import current_tiles as c; print(c())"
    environment = {**os.environ, TILES_VARIABLE: "rows=1024/256"}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.stdout.strip() == "rows=1024/256,tubelets=1024/256", result.stderr
