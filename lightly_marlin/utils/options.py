"""Settings that stand in one place: a dataclass field is option, YAML key and help.

    @dataclass(frozen=True)
    class Options:
        steps: int = setting(100, "Steps to train.", AT_LEAST_1)

        def __post_init__(self) -> None:
            check_settings(self)

    options = parse_options(Options, ["--steps", "5"], "Trains.")

`tyro` derives the command line from the fields. It hands values over as text, because
options and YAML values are converted and checked by the same code here: a mistake has
the same words wherever it is made.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import NoneType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from lightly_marlin.utils.errors import UsageError

__all__ = [
    "AT_LEAST_1",
    "NOT_NEGATIVE",
    "SEED",
    "Choice",
    "Range",
    "add_options",
    "check_settings",
    "convert_setting",
    "parse_given",
    "parse_options",
    "setting",
]

Value = TypeVar("Value")
Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Range:
    """Numbers that a setting may have.

    Attributes:
        text: The range in words, to follow "must be".
        holds: Returns whether a number is in the range.
    """

    text: str
    holds: Callable[[float], bool]

    def check(self, name: str, value: float) -> None:
        """Raises UsageError if the value of setting `name` is out of range."""
        if not self.holds(value):
            raise UsageError(f"Invalid {name} {value}: must be {self.text}.")


@dataclass(frozen=True)
class Choice:
    """Names that a setting may have.

    Attributes:
        list_names: Returns the names. Called late, because some take long to import.
        holds: Returns whether a name is allowed; None if the list is complete.
    """

    list_names: Callable[[], Sequence[str]]
    holds: Callable[[str], bool] | None = None

    @property
    def text(self) -> str:
        """The names in words."""
        return f"one of {', '.join(self.list_names())}"

    def check(self, name: str, value: str) -> None:
        """Raises UsageError if the value of setting `name` is no such name."""
        names = self.list_names()
        if not (value in names if self.holds is None else self.holds(value)):
            raise UsageError(
                f"Invalid {name} ({value}). Supported values are {', '.join(names)}."
            )


AT_LEAST_1 = Range("at least 1", lambda value: value >= 1)
NOT_NEGATIVE = Range("0 or more", lambda value: 0 <= value < math.inf)
SEED = Range("in [0, 2**32)", lambda value: 0 <= value < 2**32)


def setting(
    default: Value,
    help: str,
    allowed: Range | Choice | None = None,
    *,
    metavar: str | None = None,
) -> Value:
    """Returns the field of a dataclass that is an option.

    Args:
        default: Default of the field.
        help: A sentence for --help.
        allowed: Values that the field may have besides None; None for all of its type.
            A `Literal` type needs none.
        metavar: Placeholder of the value in --help; None for the name of the type.
    """
    metadata = {"help": help, "allowed": allowed, "metavar": metavar}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class _Option:
    """A field with its type taken apart."""

    name: str
    default: Any
    kind: type[Any]
    optional: bool
    allowed: Range | Choice | None
    help: str
    metavar: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    def hint(self, default: Any) -> str:
        """Returns default and range, for --help."""
        parts = [] if default is None else [f"default: {default}"]
        parts += [self.allowed.text] if self.allowed else []
        return f"({'; '.join(parts)})" if parts else ""


def _options(settings: type[Any]) -> Iterator[_Option]:
    hints = get_type_hints(settings)
    for field in dataclasses.fields(settings):
        if "help" not in field.metadata:
            continue
        kinds = [kind for kind in get_args(hints[field.name]) if kind is not NoneType]
        literal = get_origin(hints[field.name]) is Literal
        kind = str if literal else kinds[0] if kinds else hints[field.name]
        allowed = field.metadata.get("allowed")
        if literal:
            allowed = Choice(partial(tuple, kinds))
        yield _Option(
            field.name,
            field.default,
            kind,
            not literal and NoneType in get_args(hints[field.name]),
            allowed,
            field.metadata["help"],
            field.metadata.get("metavar") or kind.__name__.upper(),
        )


def check_settings(settings: Any) -> None:
    """Checks every field of a dataclass of settings.

    Raises:
        UsageError: If a value is not allowed; it names field, value and what is.
    """
    for option in _options(type(settings)):
        value = getattr(settings, option.name)
        if option.allowed is not None and value is not None:
            option.allowed.check(option.name, value)


def convert_setting(settings: type[Any], name: str, value: object) -> Any:
    """Converts a value of YAML or of a command line to the type of a field.

    Args:
        settings: Dataclass with a field `name`.
        name: Name of the field.
        value: Text, number or bool; None for fields that may be None. Text becomes a
            number where one is wanted, as 1.5e-4 reads as text in YAML 1.1.

    Raises:
        TypeError: If the value does not fit; the message is the type in words.
    """
    option = next(option for option in _options(settings) if option.name == name)
    if value is None and option.optional:
        return None
    fits = isinstance(value, bool) == (option.kind is bool)
    try:
        converted = option.kind(value)
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits or (option.kind is int and converted != float(str(value))):
        or_none = " or null" if option.optional else ""
        raise TypeError(f"{option.kind.__name__}{or_none}")
    return converted


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
    shown = {**{o.name: o.default for o in _options(settings)}, **(defaults or {})}
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            import tyro

            groups, unknown = tyro.cli(
                _option_groups(settings, shown),
                prog=Path(sys.argv[0]).name,
                description=description,
                args=arguments,
                return_unknown_args=True,
            )
    except SystemExit as error:
        if not error.code:
            raise
        raise UsageError(re.sub(r"[\s╭─╮│╰╯]+", " ", messages.getvalue())) from None
    if unknown:
        raise UsageError(f"unrecognized arguments: {' '.join(unknown)} (see --help)")
    texts = {name: text for group in groups.values() for name, text in group.items()}
    return {
        name: _converted(settings, name, text)
        for name, text in texts.items()
        if text != []
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
    for option in _options(settings):
        default = (defaults or {}).get(option.name, option.default)
        group.add_argument(
            option.flag,
            type=option.kind,
            default=default,
            metavar=option.metavar,
            # A percent sign would be a placeholder of argparse.
            help=f"{option.help} {option.hint(default)}".replace("%", "%%"),
        )


def _option_groups(settings: type[Any], defaults: Mapping[str, Any]) -> Any:
    """Returns a TypedDict of TypedDicts: the type that tyro reads a parser from."""
    import tyro
    from typing_extensions import TypedDict

    # Types made at run time are nothing that a type checker can follow.
    make: Any = TypedDict
    conf: Any = tyro.conf
    left = {option.name: option for option in _options(settings)}
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


def _tyro_type(option: _Option, default: Any) -> Any:
    """Returns a type whose value tells whether the option was given.

    A flag that was not given is absent. Other options are lists of all their values:
    if one is given twice, the first is to be checked as well.
    """
    import tyro
    from typing_extensions import NotRequired

    conf: Any = tyro.conf
    # Late, because names of a `Choice` may need slow imports.
    shown = {"help": option.help, "help_behavior_hint": lambda _: option.hint(default)}
    if option.kind is bool:
        return NotRequired[Annotated[bool, conf.arg(**shown)]]
    config = conf.arg(metavar=option.metavar, default=[], **shown)
    return conf.UseAppendAction[Annotated[list[str], config]]


def _converted(settings: type[Any], name: str, given: bool | list[str]) -> Any:
    """Converts all values of an option; the last one holds."""
    value: Any = None
    for text in given if isinstance(given, list) else [given]:
        try:
            value = convert_setting(settings, name, text)
        except TypeError as error:
            kind = str(error).removesuffix(" or null")
            flag = "--" + name.replace("_", "-")
            raise UsageError(
                f"argument {flag}: invalid {kind} value: {text!r} (see --help)"
            ) from error
    return value


def _summary(owner: type[Any]) -> str:
    return (owner.__doc__ or "").strip().partition("\n")[0]


def _title(owner: type[Any]) -> str:
    """Returns "track filter" for `TrackFilter` and "mask" for `MaskSettings`."""
    words = re.findall("[A-Z][a-z0-9]*", owner.__name__)
    return " ".join(words).removesuffix(" Settings").removesuffix(" Options").lower()
