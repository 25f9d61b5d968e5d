"""Routers and settings in files, with the names that `moga calibrate` and `moga generate` use.

A folder holds config.json with a section "moga", and safetensors with the routers among other tensors or alone:
blocks.N.attn1.router.weight [M, C] and .bias [M], or blocks.N.self_attn.router.* in Wan's own names. A MoGA adapter is
one file with the routers and, in its metadata, the settings (moga/adapter.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from moga.adapter import Adapter, load_adapter, load_folder

_WEIGHTS = "diffusion_pytorch_model.safetensors"


def load(path: str | Path) -> Adapter:
    """Reads the transformer folder of a model that `moga calibrate` or `moga train` wrote, what save wrote, or the file
    of `moga calibrate --adapter`. Low-rank updates in such a file are refused: diffusers loads LoRA.
    """
    path = Path(path)
    if path.is_file():
        return _load_file(path)
    return load_folder(path)


def _load_file(path: Path) -> Adapter:
    adapter = load_adapter(path)
    if adapter.lora:
        raise ValueError(
            f"{path}: has {len(adapter.lora)} tensors besides routers, the first {next(iter(adapter.lora))}; "
            "expected routers only"
        )
    return adapter


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
