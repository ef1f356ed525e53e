"""A policy's YAML file: its kind, name, limits, and the settings by which it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.commands.errors import InputError
from trainer.commands.options import plain_number
from trainer.commands.yaml_files import read_yaml

from .limits import Limits

LONGEST = 60
"""Characters of a name, and numbers of a list."""


@dataclass(frozen=True)
class Setting:
    """A number, or a list of numbers, and the range it has to be of."""

    default: Any
    low: float
    high: float

    def read(self, text: Any) -> Any:
        """The number or list that a YAML file says. Raises ValueError for any other."""
        if isinstance(self.default, list):
            if not isinstance(text, list) or not 1 <= len(text) <= LONGEST:
                raise ValueError
            return [self._number(each, float) for each in text]
        return self._number(text, type(self.default))

    def _number(self, text: Any, kind: type) -> Any:
        if not isinstance(text, str) or len(text) > LONGEST:
            raise ValueError
        number = plain_number(text)
        if not self.low <= number <= self.high or number != kind(number):
            raise ValueError
        return kind(number)

    def __str__(self) -> str:
        whole = isinstance(self.default, int)
        what = "a whole number" if whole else "a number"
        if isinstance(self.default, list):
            what = f"a list of 1 to {LONGEST} numbers, each"
        return f"{what} from {self.low:,} to {self.high:,}"


@dataclass(frozen=True)
class PolicyFile:
    """What is asked for."""

    kind: str
    name: str
    limits: Limits
    settings: Mapping[str, Any]

    @classmethod
    def read(
        cls, path: Path, kinds: Mapping[str, Mapping[str, Setting]], names: Mapping[str, str]
    ) -> PolicyFile:
        """kinds: settings of each; names: those of kinds whose default is not the kind's own.

        Raises InputError for an unknown kind or setting, or a value out of range.
        """
        content = read_yaml(path)
        kind = content.pop("policy", None)
        if not isinstance(kind, str) or kind not in kinds:
            raise InputError(f"{path}: policy must be one of {', '.join(kinds)}, not {kind!r:.80}")
        name = content.pop("name", names.get(kind, kind))
        if not (isinstance(name, str) and 0 < len(name) <= LONGEST and name.isprintable()):
            raise InputError(f"{path}: name must be text of at most {LONGEST} characters")
        if "|" in name:
            raise InputError(f"{path}: name must be without |, which tables are made of")
        limits = limits_of(path, content.pop("limits", {}))
        settings = {each: setting.default for each, setting in kinds[kind].items()}
        for each, text in content.items():
            if each not in settings:
                known = ", ".join([*settings, "policy", "name", "limits"])
                raise InputError(f"{path}: unknown setting {each}. Known are {known}")
            setting = kinds[kind][each]
            try:
                settings[each] = setting.read(text)
            except ValueError:
                raise InputError(f"{path}: {each} must be {setting}, not {text!r:.80}") from None
        return cls(kind, name, limits, settings)


def limits_of(path: Path, values: Any) -> Limits:
    """Those of a YAML file. Raises InputError, which names it, for what cannot be."""
    try:
        return Limits.of(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
