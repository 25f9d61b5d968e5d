"""The LoRA in a MoGA adapter, added by ComfyUI as any other."""

from __future__ import annotations

from typing import Any

import comfy.lora

from moga.adapter import Adapter
from moga.wan_names import wan_name

_DIFFUSERS = "transformer."


def add_lora(patcher: Any, adapter: Adapter, strength: float) -> Any:
    """Adds low-rank updates to a ModelPatcher, in place. All tensors of the file must belong to layers of the model."""
    if not adapter.lora:
        if strength != 1.0:
            raise ValueError(f"moga: lora_strength = {strength}, but {adapter.source or 'no adapter'} has no LoRA")
        return patcher
    tensors = {_comfyui_name(name): tensor for name, tensor in adapter.lora.items()}
    keys = comfy.lora.model_lora_keys_unet(patcher.model, {})
    patches = comfy.lora.load_lora(tensors, keys)
    added = set(patcher.add_patches(patches, strength))
    layers = {_layer(name) for name in tensors}
    if len(added) != len(layers):
        missed = sorted(layer for layer in layers if f"{layer}.weight" not in added)
        raise ValueError(
            f"moga: {adapter.source}: its LoRA does not fit the model: {missed[0] if missed else 'a layer'}"
        )
    return patcher


def _comfyui_name(name: str) -> str:
    """transformer.blocks.0.attn1.to_q.lora_A.weight → diffusion_model.blocks.0.self_attn.q.lora_A.weight"""
    if not name.startswith(_DIFFUSERS):
        return name
    translated = wan_name(name.removeprefix(_DIFFUSERS))
    return name if translated is None else f"diffusion_model.{translated}"


def _layer(name: str) -> str:
    for end in (".lora_down.weight", ".lora_up.weight", ".alpha", ".lora_A.weight", ".lora_B.weight"):
        if name.endswith(end):
            return name.removesuffix(end)
    return name
