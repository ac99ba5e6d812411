"""Command lines whose options are the fields of a dataclass of settings.

    options = parse_options(Options, ["--steps", "5"], "Trains.")

`tyro` derives the parser from the fields. It hands values over as text, which the code
that reads YAML converts and checks as well, see `lightly_marlin.utils.settings`.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from argparse import ArgumentParser, BooleanOptionalAction
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.settings import Option, convert_setting, list_options

__all__ = ["add_options", "parse_given", "parse_options"]

Settings = TypeVar("Settings")

_PURPOSE = "Reading options"


def parse_given(
    settings: type[Any],
    arguments: Sequence[str] | None,
    description: str,
    defaults: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Parses a command line whose options are the fields of a dataclass.

    Args:
        settings: Dataclass of `setting` fields. The classes that it inherits fields
            from are the groups of --help, with the first line of their docstrings.
        arguments: Command line without the program; None for that of the process.
        description: The program in a sentence.
        defaults: Defaults to show in place of those of the fields.

    Returns:
        The options that were given, converted, by names of fields.

    Raises:
        UsageError: If an option is unknown or has no value of its type.
    """
    tyro = require("tyro", _PURPOSE)

    options = {option.name: option for option in list_options(settings)}
    shown = {name: option.default for name, option in options.items()}
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            groups, unknown = tyro.cli(
                _option_groups(settings, {**shown, **(defaults or {})}),
                prog=Path(sys.argv[0]).name,
                description=description,
                args=arguments,
                return_unknown_args=True,
            )
    except SystemExit as error:
        if not error.code:
            raise
        # What tyro puts into a box becomes a line.
        text = re.sub(r"[\s╭─╮│╰╯|]+|\+?-{3,}\+?", " ", messages.getvalue())
        raise UsageError(" ".join(text.split())) from None
    if unknown:
        raise UsageError(f"unrecognized arguments: {' '.join(unknown)} (see --help)")
    texts = {name: text for group in groups.values() for name, text in group.items()}
    return {
        name: _converted(settings, options[name], text)
        for name, text in texts.items()
        if text != [] or options[name].words
    }


def parse_options(
    settings: type[Settings],
    arguments: Sequence[str] | None,
    description: str,
    defaults: Mapping[str, Any] | None = None,
) -> Settings:
    """Makes a dataclass of a command line, see `parse_given`.

    Args:
        settings: The dataclass.
        arguments: Command line without the program; None for that of the process.
        description: The program in a sentence.
        defaults: Values of options not given, in place of the defaults of the fields.

    Raises:
        UsageError: If an option is unknown or has a value that is not allowed.
    """
    given = parse_given(settings, arguments, description, defaults)
    return settings(**{**(defaults or {}), **given})


def add_options(
    parser: ArgumentParser,
    settings: type[Any],
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """Adds the fields of a dataclass to the options of an `argparse` parser.

    For recipes that have positional arguments or further options of their own.

    Args:
        parser: Takes the options.
        settings: Dataclass of `setting` fields.
        defaults: Defaults in place of those of the fields.
    """
    group = parser.add_argument_group(f"{_title(settings)} options", _summary(settings))
    for option in list_options(settings):
        default = (defaults or {}).get(option.name, option.default)
        # A percent sign would be a placeholder of argparse.
        text = f"{option.help} {option.hint(default)}".replace("%", "%%")
        if option.kind is bool:
            action = BooleanOptionalAction
            group.add_argument(option.flag, action=action, default=default, help=text)
            continue
        group.add_argument(
            option.flag,
            type=option.kind,
            default=default,
            metavar=option.metavar,
            help=text,
        )


def _option_groups(settings: type[Any], defaults: Mapping[str, Any]) -> Any:
    """Returns a TypedDict of TypedDicts: the type that tyro reads a parser from."""
    tyro = require("tyro", _PURPOSE)
    from typing_extensions import TypedDict

    # Types made at run time are nothing that a type checker can follow.
    make: Any = TypedDict
    conf: Any = tyro.conf
    left = {option.name: option for option in list_options(settings)}
    groups: dict[str, Any] = {}
    # From the last class on: a field that is defined anew belongs there.
    for owner in settings.__mro__:
        own = vars(owner).get("__annotations__", {})
        names = [name for name in own if name in left]
        group = {name: _tyro_type(left.pop(name), defaults[name]) for name in names}
        if group:
            typed = make(owner.__name__, group)
            typed.__doc__ = _summary(owner)
            groups[_title(owner)] = conf.OmitArgPrefixes[typed]
    return make("Groups", dict(reversed(groups.items())))


def _tyro_type(option: Option, default: Any) -> Any:
    """Returns a type whose value tells whether the option was given.

    A flag that was not given is absent, and so are words, of which an option that is
    given again replaces those before. Other options are lists of all their values:
    if one is given twice, the first is to be checked as well.
    """
    tyro = require("tyro", _PURPOSE)
    from typing_extensions import NotRequired

    conf: Any = tyro.conf
    # Late, because names of a `Choice` may need slow imports.
    shown = {"help": option.help, "help_behavior_hint": lambda _: option.hint(default)}
    if option.kind is bool:
        return NotRequired[Annotated[bool, conf.arg(**shown)]]
    if option.words:
        words = conf.arg(metavar=f"{option.metavar} ...", **shown)
        return NotRequired[Annotated[list[str], words]]
    config = conf.arg(metavar=option.metavar, default=[], **shown)
    return conf.UseAppendAction[Annotated[list[str], config]]


def _converted(settings: type[Any], option: Option, given: bool | list[str]) -> Any:
    """Converts and checks all values of an option; the last one holds."""
    value: Any = None
    texts: list[Any] = given if isinstance(given, list) else [given]
    for text in [texts] if option.words else texts:
        try:
            value = convert_setting(settings, option.name, text)
            if option.allowed is not None:
                option.allowed.check(option.name, value)
        except TypeError as error:
            raise UsageError(
                f"argument {option.flag}: invalid {option.kind.__name__} value: "
                f"{text!r} (see --help)"
            ) from error
        except UsageError as error:
            raise UsageError(f"argument {option.flag}: {error}") from error
    return value


def _summary(owner: type[Any]) -> str:
    return (owner.__doc__ or "").strip().partition("\n")[0]


def _title(owner: type[Any]) -> str:
    """Returns "track filter" for `TrackFilter` and "mask" for `MaskSettings`."""
    words = re.findall("[A-Z][a-z0-9]*", owner.__name__)
    return " ".join(words).removesuffix(" Settings").removesuffix(" Options").lower()
