"""Routers and settings in files, with the names that `moga calibrate` and `moga generate` use.

A folder holds config.json with a section "moga", and safetensors with the routers among other tensors or alone:
blocks.N.attn1.router.weight [M, C] and .bias [M], or blocks.N.self_attn.router.* in Wan's own names. A MoGA adapter is
one file with the routers and, in its metadata, the settings.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from moga.config import Config

_ROUTER = re.compile(r"(?:transformer\.|diffusion_model\.)?blocks\.(\d+)\.(?:attn1|self_attn)\.router\.(weight|bias)")
_ATTENTION = "moga.attention"  # key of an adapter's metadata
_WEIGHTS = "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True)
class Adapter:
    """Settings and, by block, the router's {"weight": [M, C], "bias": [M]}."""

    config: Config
    routers: dict[int, dict[str, Tensor]] = field(default_factory=dict)


def load(path: str | Path) -> Adapter:
    """Reads the transformer folder of a model that `moga calibrate` or `moga train` wrote, what save wrote, or the file
    of `moga calibrate --adapter`. Low-rank updates in such a file are refused: diffusers loads LoRA.
    """
    path = Path(path)
    if path.is_file():
        return _load_file(path)
    if not (path / "config.json").is_file():
        raise FileNotFoundError(f"{path}: no config.json; expected the transformer folder of a model with MoGA")
    values = json.loads((path / "config.json").read_text())
    if "moga" not in values:
        raise ValueError(f'{path / "config.json"}: no section "moga"')
    routers: dict[int, dict[str, Tensor]] = {}
    for weights in sorted(path.glob("*.safetensors")):
        with safe_open(weights, "pt") as file:
            _add_routers(routers, file)
    return Adapter(Config.from_dict(values["moga"]), routers)


def _add_routers(routers: dict[int, dict[str, Tensor]], file: Any) -> list[str]:
    """Adds the file's routers and returns the names of its other tensors."""
    others = []
    for name in file.keys():  # noqa: SIM118  (no mapping)
        if match := _ROUTER.fullmatch(name):
            routers.setdefault(int(match[1]), {})[match[2]] = file.get_tensor(name)
        else:
            others.append(name)
    return others


def _load_file(path: Path) -> Adapter:
    routers: dict[int, dict[str, Tensor]] = {}
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        if _ATTENTION not in metadata:
            raise ValueError(f"{path}: is no MoGA adapter (no {_ATTENTION} in its metadata)")
        others = _add_routers(routers, file)
    if others:
        raise ValueError(
            f"{path}: has {len(others)} tensors besides routers, the first {others[0]}; expected routers only"
        )
    return Adapter(Config.from_dict(json.loads(metadata[_ATTENTION])), routers)


def save(transformer: Any, folder: str | Path) -> None:
    """Writes settings and routers of a transformer that moga.diffusers.apply has changed, without its other weights.
    `transformer.save_pretrained` writes all of them, as a folder that `moga generate` reads."""
    state = getattr(transformer, "_moga", None)
    if state is None:
        raise ValueError("moga: this transformer has no MoGA; moga.diffusers.apply puts it there")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    routers = {
        f"blocks.{number}.attn1.router.{name}": tensor.detach().float().contiguous().cpu()
        for number, block in enumerate(transformer.blocks)
        if hasattr(block.attn1, "router")
        for name, tensor in block.attn1.router.named_parameters()
    }
    text = json.dumps({"_class_name": type(transformer).__name__, "moga": state.config.to_dict()}, indent=2)
    (folder / "config.json").write_text(text + "\n")
    save_file(routers, folder / _WEIGHTS)
