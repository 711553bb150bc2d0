"""Settings that know what they allow: a faulty one names itself, its value and what is allowed."""

import dataclasses
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from mowe.errors import ConfigError


def _setting(default: Any, allowed: str, fits: Callable[[Any], bool]) -> Any:
    about = {"allowed": allowed, "fits": fits}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=about)
    return field(default=default, metadata=about)


def _is_number(value: Any, *, zero: bool) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return 0 <= value < math.inf and (zero or value > 0)


def whole(default: int, *, least: int = 0) -> Any:
    """A whole number."""
    kind = f"a whole number from {least} on"
    return _setting(default, kind, lambda one: type(one) is int and one >= least)


def number(default: float, *, most: float = math.inf, zero: bool = True) -> Any:
    """A number from 0 on, or above 0."""
    kind = "a number from 0" if zero else "a number above 0"
    if most < math.inf:
        kind += f" to {most:g}"
    elif zero:
        kind += " on"
    return _setting(default, kind, lambda one: _is_number(one, zero=zero) and one <= most)


def numbers(*, zero: bool = True) -> Any:
    """A number for each of some names."""

    def fits(value: Any) -> bool:
        known = isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
        return known and all(_is_number(one, zero=zero) for one in value.values())

    return _setting({}, f"an object of numbers {'from 0 on' if zero else 'above 0'}", fits)


def texts(default: tuple[str, ...] = (), *, among: tuple[str, ...] = ()) -> Any:
    """A list of texts, kept as a tuple."""

    def fits(value: Any) -> bool:
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            return False
        return not among or set(value) <= set(among)

    return _setting(default, f"a list of {list(among) or 'texts'}", fits)


def choice(default: str, *options: str) -> Any:
    """One of some words."""
    return _setting(default, f"one of {list(options)}", lambda one: one in options)


@dataclass(frozen=True, kw_only=True)
class SettingsSection:
    """A section of settings; one that is neither given by a function above nor a path is free."""

    SECTION: ClassVar[str] = ""  # as it is called in a recipe

    def __post_init__(self) -> None:
        """Refuse what is not allowed.

        Raises:
            ConfigError: If a setting is of another kind or out of range.
        """
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if one.metadata and not one.metadata["fits"](value):
                raise ConfigError(
                    f"{self._named(one.name)} must be {one.metadata['allowed']}, found {value!r}"
                )
            if isinstance(value, list):
                object.__setattr__(self, one.name, tuple(value))

    @classmethod
    def _named(cls, name: str) -> str:
        return f"{cls.SECTION}.{name}" if cls.SECTION else name

    @classmethod
    def read(cls, plain: Any) -> Self:
        """Settings from what JSON holds, sections among them.

        Raises:
            ConfigError: If a setting is unknown, missing or not allowed.
        """
        if not isinstance(plain, Mapping):
            raise ConfigError(f"{cls.SECTION or 'a recipe'} must be an object, found {plain!r}")
        kinds, missing = typing.get_type_hints(cls), dataclasses.MISSING
        known = {one.name: one for one in dataclasses.fields(cls)}
        if unknown := [name for name in plain if name not in known]:
            raise ConfigError(
                f"{cls._named(unknown[0])} is no setting; there are {', '.join(known)}"
            )
        for name, one in known.items():
            if name not in plain and one.default is one.default_factory is missing:
                raise ConfigError(f"{cls._named(name)} is missing")
        return cls(**{name: cls._value(name, kinds[name], one) for name, one in plain.items()})

    @classmethod
    def _value(cls, name: str, kind: Any, value: Any) -> Any:
        if isinstance(kind, type) and issubclass(kind, SettingsSection):
            return kind.read(value)
        options = typing.get_args(kind) or (kind,)
        if Path not in options or (value is None and type(None) in options):
            return value
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{cls._named(name)} must be a path, found {value!r}")
        return Path(value)
