"""MoGA adapters: the file that `moga calibrate --adapter` and LoRA training write. It turns a model with full attention
into one with routed groups.

    tensors     routers: blocks.N.self_attn.router.weight [M, C] and .bias [M] (blocks.N.attn1.router.* in diffusers'
                names), and where training made one a LoRA
    metadata    moga.attention: the settings, as the section "moga" of a config.json
                moga.base: class, sizes and a hash of the names and shapes of the model that it is for
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from moga.checksum import Checksum
from moga.config import Config
from moga.router import Router

_ROUTER = re.compile(r"(?:transformer\.|diffusion_model\.)?blocks\.(\d+)\.(?:attn1|self_attn)\.router\.(weight|bias)")
_ATTENTION = "moga.attention"  # keys of an adapter's metadata
_BASE = "moga.base"
_WAN_CLASS = "WanTransformer3DModel"


@dataclass(frozen=True)
class Adapter:
    """config: settings; routers: by block, {"weight": [M, C], "bias": [M]}; lora: other tensors of the file, by their
    names there; base: what the file says of its model; source: the file, for messages."""

    config: Config
    routers: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    lora: dict[str, Tensor] = field(default_factory=dict)
    base: dict[str, Any] = field(default_factory=dict)
    source: str = ""

    def router(self, block: int, width: int, config: Config) -> Router:
        """The router of a block with C = width, for settings `config` of that block."""
        weights = self.routers.get(block, {})
        router = Router(width, config.groups, config.gate)
        for name, parameter in router.named_parameters():
            if name not in weights:
                raise ValueError(f"moga: {self._place()}no router {name} for block {block}")
            if weights[name].shape != parameter.shape:
                raise ValueError(
                    f"moga: {self._place()}router {name} of block {block} has shape {list(weights[name].shape)}, "
                    f"groups = {config.groups} and width {width} need {list(parameter.shape)}"
                )
        router.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        return router

    def check_base(self, blocks: int, width: int, shapes: Mapping[str, Sequence[int]]) -> None:
        """Refuses a model that the file is not for. shapes: of all tensors of a Wan transformer, in Wan's own names."""
        own = {"class": _WAN_CLASS, "blocks": blocks, "width": width, "hash": shapes_hash(shapes)}
        if self.base == own:
            return
        other = " with other tensors" if _described(self.base) == _described(own) else ""
        raise ValueError(
            f"moga: {self._place()}an adapter for {_described(self.base)}, the model is {_described(own)}{other}"
        )

    def _place(self) -> str:
        return f"{self.source}: " if self.source else ""


def _described(base: Mapping[str, Any]) -> str:
    return "{} of {} blocks of width {}".format(*(base.get(key, "?") for key in ("class", "blocks", "width")))


def shapes_hash(shapes: Mapping[str, Sequence[int]]) -> str:
    """The hash over names and shapes in an adapter's moga.base."""
    hash = Checksum()
    for name in sorted(shapes):
        hash.add(name.encode())
        hash.add(b"".join(int(size).to_bytes(8, "little") for size in shapes[name]))
    return hash.text()


def add_routers(routers: dict[int, dict[str, Tensor]], file: Any) -> list[str]:
    """Adds routers of an open safetensors file and returns the names of its other tensors."""
    others = []
    for name in file.keys():  # noqa: SIM118  (no mapping)
        if match := _ROUTER.fullmatch(name):
            routers.setdefault(int(match[1]), {})[match[2]] = file.get_tensor(name)
        else:
            others.append(name)
    return others


def load_folder(folder: str | Path) -> Adapter:
    """Settings and routers of the transformer folder of a model that `moga calibrate` or `moga train` wrote, or of what
    moga.diffusers.save wrote. Its other weights are not read."""
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder}: no config.json; expected the transformer folder of a model with MoGA")
    values = json.loads((folder / "config.json").read_text())
    if "moga" not in values:
        raise ValueError(f'{folder / "config.json"}: no section "moga"')
    routers: dict[int, dict[str, Tensor]] = {}
    for weights in sorted(folder.glob("*.safetensors")):
        with safe_open(weights, "pt") as file:
            add_routers(routers, file)
    return Adapter(Config.from_dict(values["moga"]), routers, source=str(folder))


def load_adapter(path: str | Path) -> Adapter:
    """Reads a MoGA adapter."""
    routers: dict[int, dict[str, Tensor]] = {}
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if _ATTENTION not in metadata:
                raise ValueError(f"moga: {path}: is no MoGA adapter (no {_ATTENTION} in its metadata)")
            lora = {name: file.get_tensor(name) for name in add_routers(routers, file)}
    except SafetensorError as error:
        raise ValueError(f"moga: {path}: cannot be read as safetensors: {error}") from None
    config = Config.from_dict(_json_object(path, _ATTENTION, metadata[_ATTENTION]))
    base = _json_object(path, _BASE, metadata.get(_BASE, "{}"))
    return Adapter(config, routers, lora, base, str(path))


def _json_object(path: str | Path, key: str, text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"moga: {path}: {key} in its metadata is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"moga: {path}: {key} in its metadata is no JSON object")
    return values


def check_full_layers(config: Config, blocks: int) -> None:
    """Refuses blocks in full_layers that a model does not have."""
    wrong = [layer for layer in config.full_layers if layer >= blocks]
    if wrong:
        raise ValueError(f"moga: full_layers has {wrong[0]}, the blocks are 0 to {blocks - 1}")
