"""Config: the settings of visual attention, with the names of the section "moga" in a model's config.json."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

MOST_GROUPS = 4096


def _checked(cls: type, values: Mapping[str, Any], place: str) -> dict[str, Any]:
    names = [f.name for f in dataclasses.fields(cls)]
    for key in values:
        if key not in names and not key.startswith("_"):
            near = difflib.get_close_matches(key, names, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f", expected one of {', '.join(names)}"
            raise ValueError(f"{place}: unknown key {key!r}{hint}")
    return {key: value for key, value in values.items() if key in names}


def _check_types(config: Any) -> None:
    for name, hint in typing.get_type_hints(type(config)).items():
        value = getattr(config, name)
        if typing.get_origin(hint) is Literal:
            if value not in typing.get_args(hint):
                raise ValueError(f"{name} {value!r} is not one of {', '.join(typing.get_args(hint))}")
        elif isinstance(hint, types.GenericAlias):
            continue
        elif not isinstance(value, (int, float) if hint is float else hint) or (
            hint is not bool and isinstance(value, bool)
        ):
            raise TypeError(f"{name} = {value!r}, expected {hint.__name__}")


@dataclass(frozen=True)
class Windows:
    """Window groups: a frame is cut into `rows` × `columns`, a shot into runs of at most `run_frames` latent frames;
    keys reach `boundary_frames` latent frames beyond a shot boundary."""

    rows: int = 2
    columns: int = 2
    run_frames: int = 10
    boundary_frames: int = 2

    def __post_init__(self) -> None:
        _check_types(self)
        if min(self.rows, self.columns, self.run_frames) < 1 or self.boundary_frames < 0:
            raise ValueError(f"{self}: expected 1 or more (boundary_frames: 0 or more)")

    def numbers(self) -> list[int]:
        return [self.rows, self.columns, self.run_frames, self.boundary_frames]


@dataclass(frozen=True)
class Config:
    """Settings of visual attention (docs/design.md, section 2). `groups` is M, `balance_weight` α; blocks in
    `full_layers` run full attention whatever `kind` is."""

    kind: Literal["full", "moga"] = "moga"
    routed: bool = True
    window: bool = True
    frame: bool = True
    groups: int = 5
    gate: Literal["probability", "straight_through", "none"] = "probability"
    combine: Literal["mean", "lse"] = "mean"
    balance: Literal["switch", "paper"] = "switch"
    balance_weight: float = 0.1
    windows: Windows = field(default_factory=Windows)
    backend: Literal["auto", "reference", "cpu", "sm90", "flash"] = "auto"
    full_layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "full_layers", tuple(self.full_layers))
        _check_types(self)
        self._validate()

    def _validate(self) -> None:
        if not 1 <= self.groups <= MOST_GROUPS:
            raise ValueError(f"groups = {self.groups}, expected 1 to {MOST_GROUPS}")
        if self.balance_weight < 0:
            raise ValueError(f"balance_weight = {self.balance_weight}, expected 0 or more")
        if any(layer < 0 for layer in self.full_layers) or len(set(self.full_layers)) < len(self.full_layers):
            raise ValueError(f"full_layers = {self.full_layers}, expected different numbers from 0")
        if self.kind == "full":
            return
        if not (self.routed or self.window or self.frame):
            raise ValueError("attention kind moga needs one of routed, window, frame")
        if self.combine == "lse" and self.gate != "none" and self.routed and not (self.window or self.frame):
            raise ValueError(
                "with combine lse a gate weighs routed keys against those of windows and frames; "
                "without either, use gate none"
            )

    @property
    def uses_router(self) -> bool:
        return self.kind == "moga" and self.routed

    def of_layer(self, layer: int) -> Config:
        """The config of a block: with kind "full" in a block of `full_layers`."""
        return dataclasses.replace(self, kind="full") if layer in self.full_layers else self

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Config:
        """From the section "moga" of a config.json. An unknown key is an error."""
        known = _checked(Config, values, "moga")
        if "windows" in known:
            known["windows"] = Windows(**_checked(Windows, known["windows"], "moga.windows"))
        if "full_layers" in known:
            known["full_layers"] = tuple(known["full_layers"])
        return Config(**known)

    def to_dict(self) -> dict[str, Any]:
        values = dataclasses.asdict(self)
        values["full_layers"] = list(self.full_layers)
        return values
