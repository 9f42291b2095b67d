"""Records from files: every value is held against the type and the range that its field declares, before anything uses it.

The annotations of a frozen dataclass say it all: `int`, `float`, `str`, `bool`, `Literal`, `X | None`, `tuple[X, ...]`,
`tuple[X, Y]`, `dict[str, X]`, other dataclasses and typed dicts; `Annotated[float, Within(0, 1)]` narrows the range. A yes or no
is no number, a number no text, and no number is infinite. The same kinds describe the columns of a table.
"""

import contextlib
import dataclasses
import math
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

if TYPE_CHECKING:  # a worker says that it lives before pandas has loaded
    import pandas as pd

LARGEST_WHOLE = 2**53  # the largest that JSON carries exactly everywhere
LONGEST = 10_000  # characters of a text; a name of more is none
LATEST = 253_402_300_799.0  # 31 December 9999 in seconds since 1970
Record = TypeVar("Record")


@dataclass(frozen=True)
class Within:
    """Bounds (inclusive) of a number, or of the length of a text, list or mapping; with `gaps` null is a missing number (NaN)."""

    low: float = -math.inf
    high: float = math.inf
    gaps: bool = False


Count = Annotated[int, Within(0, LARGEST_WHOLE)]
Share = Annotated[float, Within(0, 1)]
Number = Annotated[float, Within(gaps=True)]  # or none
ShareOrNone = Annotated[float, Within(0, 1, gaps=True)]
Moment = Annotated[float, Within(0, LATEST)]  # seconds since 1970


def made(cls: type[Record], values: Any) -> Record:
    """The record that these plain values describe; fields that are not named keep their defaults.

    Raises:
        ValueError: A field is unknown, missing, of another type or out of range.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{_shown(values)} where {cls.__name__} is meant")
    fields = {
        spec.name: spec.default is spec.default_factory is dataclasses.MISSING for spec in dataclasses.fields(cls)
    }
    return cls(**_fields(values, _hints(cls), [name for name, needed in fields.items() if needed]))


def checked(value: Any, kind: Any) -> Any:
    """The value as `kind` has it (lists become tuples, whole numbers fractions where those are meant); ValueError where it is not."""
    return _checker(kind)(value)


def table(columns: Mapping[str, Any], kinds: Mapping[str, Any]) -> "pd.DataFrame":
    """A table of exactly these columns, each value of its kind; ValueError where they do not hold it, or differ in length."""
    import pandas as pd

    if not isinstance(columns, Mapping):
        raise ValueError("no columns")
    found = {name: checked(columns[name], tuple[kind, ...]) for name, kind in kinds.items()}
    if len({len(values) for values in found.values()}) > 1:
        raise ValueError("columns of different length")
    return pd.DataFrame(
        {name: pd.Series(list(values), dtype=_narrowed(kinds[name])[0]) for name, values in found.items()},
        columns=list(kinds),
    )


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def _narrowed(kind: Any) -> tuple[Any, Within]:
    """A kind without its range, and the range."""
    if get_origin(kind) is not Annotated:
        return kind, Within()
    base, *notes = get_args(kind)
    return base, next((note for note in notes if isinstance(note, Within)), Within())


@cache
def _checker(kind: Any) -> Callable[[Any], Any]:
    """What holds a value against a kind; made once, as columns have many values."""
    base, within = _narrowed(kind)
    origin, inner = get_origin(base), get_args(base)
    if origin in (Union, types.UnionType):
        return _either_checker(
            tuple(kind for kind in inner if kind is not types.NoneType), gaps=types.NoneType in inner
        )
    if origin is Literal:
        return lambda value: value if isinstance(value, str) and value in inner else _refuse(value)
    if base is int:
        return lambda value: _whole(value, within)
    if base is float:
        return lambda value: _fraction(value, within)
    if base is str:
        return lambda value: value if isinstance(value, str) and _is_text(value, within) else _refuse(value)
    if base is bool:
        return lambda value: value if isinstance(value, bool) else _refuse(value)
    if origin is tuple:
        return _list_checker(inner, within)
    if origin is dict:
        return _mapping_checker(_checker(inner[1]), within)
    if is_typeddict(base):
        return lambda value: _fields(value, _hints(base), base.__required_keys__)
    return lambda value: made(base, value)


def _either_checker(kinds: tuple[Any, ...], *, gaps: bool) -> Callable[[Any], Any]:
    checks = [_checker(kind) for kind in kinds]

    def check(value: Any) -> Any:
        if value is None and gaps:
            return None
        for one in checks[:-1]:
            with contextlib.suppress(ValueError):
                return one(value)
        return checks[-1](value)

    return check


def _whole(value: Any, within: Within) -> int:
    low, high = max(within.low, -LARGEST_WHOLE), min(within.high, LARGEST_WHOLE)
    return value if type(value) is int and low <= value <= high else _refuse(value)


def _fraction(value: Any, within: Within) -> float:
    if value is None and within.gaps:
        return math.nan
    if type(value) not in (int, float) or not within.low <= value <= within.high or abs(value) == math.inf:
        return _refuse(value)
    # JSON writes no fraction as a whole number of so many digits, and one of 400 is no fraction at all.
    return float(value) if type(value) is float or abs(value) <= LARGEST_WHOLE else _refuse(value)


def _is_text(value: str, within: Within) -> bool:
    if not within.low <= len(value) <= min(within.high, LONGEST):
        return False
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def _list_checker(inner: tuple[Any, ...], within: Within) -> Callable[[Any], tuple[Any, ...]]:
    repeated = len(inner) == 2 and inner[1] is Ellipsis
    checks = [_checker(kind) for kind in inner if kind is not Ellipsis]

    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or not within.low <= len(value) <= within.high:
            return _refuse(value)
        if repeated:
            return tuple(map(checks[0], value))
        return tuple(one(item) for one, item in zip(checks, value, strict=True))

    return check


def _mapping_checker(check_item: Callable[[Any], Any], within: Within) -> Callable[[Any], dict[str, Any]]:
    check_key = _checker(str)

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not within.low <= len(value) <= within.high:
            return _refuse(value)
        return {check_key(key): check_item(item) for key, item in value.items()}

    return check


def _fields(values: Any, hints: Mapping[str, Any], required: Iterable[str]) -> dict[str, Any]:
    """Named values, each of its kind: no others than are known, and all that are required."""
    if not isinstance(values, Mapping):
        return _refuse(values)
    if wrong := [name for name in values if name not in hints] or [name for name in required if name not in values]:
        raise ValueError(f"unknown or missing: {_shown(wrong[0])}")
    found = {}
    for name, value in values.items():
        try:
            found[name] = _checker(hints[name])(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return found


def _refuse(value: Any) -> Any:
    raise ValueError(f"{_shown(value)} is of another type or out of range")


def _shown(value: Any) -> str:
    """The beginning of a value, for whoever looks for the reason: never all of a large one."""
    return f"{value!r:.80}" if isinstance(value, str | bool | float | None) else type(value).__name__
