"""Settings that stand in one place: a dataclass field with range and help.

    @dataclass(frozen=True)
    class Options:
        steps: int = setting(100, "Steps to train.", AT_LEAST_1)

        def __post_init__(self) -> None:
            check_settings(self)

`lightly_marlin.utils.options` makes a command line of such a dataclass. Values of YAML
files and of options are converted and checked by the same code, so that a mistake has
the same words wherever it is made.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from lightly_marlin.utils.errors import UsageError

__all__ = [
    "AT_LEAST_1",
    "NOT_NEGATIVE",
    "SEED",
    "Choice",
    "Option",
    "Range",
    "check_settings",
    "convert_setting",
    "list_options",
    "setting",
]

Value = TypeVar("Value")


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
    words: bool = False,
) -> Value:
    """Returns the field of a dataclass that is an option.

    Args:
        default: Default of the field.
        help: A sentence for --help.
        allowed: Values that the field may have besides None; None for all of its type.
            A `Literal` type needs none.
        metavar: Placeholder of the value in --help; None for the name of the type.
        words: Whether the text may be several words of a command line, or a list or
            a mapping in YAML, whose pairs are joined by "=".
    """
    metadata = {
        "help": help,
        "allowed": allowed,
        "metavar": metavar,
        "words": words,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Option:
    """A field with its type taken apart.

    Attributes:
        name: Name of the field.
        default: Default of the field.
        kind: Type of its values, but for None.
        optional: Whether None is a value.
        allowed: Values besides None; None for all of its type.
        help: A sentence for --help.
        metavar: Placeholder of the value in --help.
        words: Whether the value is several words.
    """

    name: str
    default: Any
    kind: type[Any]
    optional: bool
    allowed: Range | Choice | None
    help: str
    metavar: str
    words: bool = False

    @property
    def flag(self) -> str:
        """The option on a command line."""
        return "--" + self.name.replace("_", "-")

    def hint(self, default: Any) -> str:
        """Returns default and range, for --help."""
        parts = [] if default is None else [f"default: {default}"]
        parts += [self.allowed.text] if self.allowed else []
        return f"({'; '.join(parts)})" if parts else ""


def list_options(settings: type[Any]) -> Iterator[Option]:
    """Yields the `setting` fields of a dataclass; other fields are no options."""
    hints = get_type_hints(settings)
    for field in dataclasses.fields(settings):
        if "help" not in field.metadata:
            continue
        hint = hints[field.name]
        optional = get_origin(hint) is not Literal and NoneType in get_args(hint)
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        kind = kinds[0] if optional else hint
        allowed = field.metadata.get("allowed")
        if get_origin(kind) is Literal:
            allowed = Choice(partial(tuple, get_args(kind)))
            kind = str
        yield Option(
            field.name,
            field.default,
            kind,
            optional,
            allowed,
            field.metadata["help"],
            field.metadata.get("metavar") or kind.__name__.upper(),
            field.metadata.get("words", False),
        )


def check_settings(settings: Any) -> None:
    """Checks every field of a dataclass of settings.

    Raises:
        UsageError: If a value is not allowed; it names field, value and what is.
    """
    for option in list_options(type(settings)):
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
    option = next(option for option in list_options(settings) if option.name == name)
    if value is None and option.optional:
        return None
    if option.words:
        value = _joined(value)
    fits = isinstance(value, bool) == (option.kind is bool)
    try:
        converted = option.kind(value)
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits or (option.kind is int and converted != float(str(value))):
        or_none = " or null" if option.optional else ""
        raise TypeError(f"{option.kind.__name__}{or_none}")
    return converted


def _joined(value: object) -> object:
    """Returns the words of a list, or the pairs of a mapping, as one text."""
    if isinstance(value, Mapping):
        return " ".join(f"{name}={part}" for name, part in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    return value
