import pytest

from lightly_marlin.analysis.token_query import parse_token

GRID = (8, 14, 14)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("mean", None),
        ("0,0,0", 0),
        ("7,13,13", 8 * 14 * 14 - 1),
        ("2,3,4", 2 * 196 + 3 * 14 + 4),
        ("middle", 4 * 196 + 7 * 14 + 7),
    ],
)
def test_parse_token(text, token):
    assert parse_token(text, GRID) == token


def test_middle_of_a_single_token():
    assert parse_token("middle", (1, 1, 1)) == 0


@pytest.mark.parametrize(
    "text", ["8,0,0", "0,14,0", "-1,0,0", "1,1", "1,1,1,1", "", "x"]
)
def test_parse_token__errors(text):
    with pytest.raises(ValueError, match="TIME,ROW,COLUMN from 0,0,0 to 7,13,13"):
        parse_token(text, GRID)
