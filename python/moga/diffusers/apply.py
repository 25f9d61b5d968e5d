"""Puts MoGA into a WanTransformer3DModel of diffusers, and takes it out again."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from diffusers.models.transformers.transformer_wan import WanAttnProcessor, WanTransformer3DModel
from torch import Tensor

from moga.adapter import Adapter, check_full_layers
from moga.config import Config
from moga.diffusers.files import load
from moga.diffusers.processors import CaptionProcessor, VisualProcessor
from moga.diffusers.state import State
from moga.router import Router


def apply(transformer: Any, settings: Config | Adapter | str | Path) -> Any:
    """Replaces self-attention of every block by MoGA, in place, and returns the transformer.

    settings: a Config (routers are random, to be trained), an Adapter, or a folder for moga.diffusers.load. Routers
    become parameters blocks.N.attn1.router, in float32, so that optimisers, LoRA, offloading and save_pretrained treat
    them like others. Without moga.diffusers.set_shots or ShotPipeline a video is one shot.
    """
    if not isinstance(transformer, WanTransformer3DModel):
        raise TypeError(f"moga: a {type(transformer).__name__}, expected a WanTransformer3DModel")
    if hasattr(transformer, "_moga"):
        raise ValueError("moga: this transformer has MoGA already; moga.diffusers.remove takes it out")
    adapter = settings if isinstance(settings, Adapter) else None
    if adapter is None:
        adapter = Adapter(settings) if isinstance(settings, Config) else load(settings)
    state = State(adapter.config)
    _check(transformer, adapter, needs_routers=not isinstance(settings, Config))
    for number, block in enumerate(transformer.blocks):
        config = state.config.of_layer(number)
        if config.uses_router:
            block.attn1.router = _router(block.attn1, config, adapter, number)
        block.attn1.set_processor(VisualProcessor(state, config))
        block.attn2.set_processor(CaptionProcessor(state))
    transformer._moga = state
    transformer._moga_hook = transformer.register_forward_pre_hook(_prepare, with_kwargs=True)
    transformer.register_to_config(moga=state.config.to_dict())
    return transformer


def remove(transformer: Any) -> Any:
    """Takes MoGA out again: diffusers' own attention, no routers."""
    if hasattr(transformer, "_moga"):
        transformer._moga_hook.remove()
        del transformer._moga, transformer._moga_hook
        for block in transformer.blocks:
            if hasattr(block.attn1, "router"):
                del block.attn1.router
            block.attn1.set_processor(WanAttnProcessor())
            block.attn2.set_processor(WanAttnProcessor())
        transformer._internal_dict = type(transformer.config)(
            {key: value for key, value in transformer.config.items() if key != "moga"}
        )
    return transformer


def balance_loss(transformer: Any) -> Tensor:
    """The balance loss of the last forward pass, times α: mean over the blocks with a router. Added to the loss of a
    training step; it needs autograd to have been on."""
    losses = transformer._moga.losses
    if not losses:
        raise ValueError("moga: the last forward pass had no balance loss: no routers, or gradients were off")
    return torch.stack(losses).mean()


def _router(attention: Any, config: Config, adapter: Adapter, block: int) -> Router:
    parameter = attention.to_q.weight
    if block in adapter.routers:
        router = adapter.router(block, attention.to_q.in_features, config)
    else:
        router = Router(attention.to_q.in_features, config.groups, config.gate)
        torch.nn.init.normal_(router.weight, 0.0, 0.02)
    device = parameter.device if parameter.device.type != "meta" else torch.device("cpu")
    return router.to(device).requires_grad_(parameter.requires_grad)


def _check(transformer: Any, adapter: Adapter, needs_routers: bool) -> None:
    blocks = len(transformer.blocks)
    check_full_layers(adapter.config, blocks)
    routed = [n for n in range(blocks) if adapter.config.of_layer(n).uses_router]
    missing = [n for n in routed if set(adapter.routers.get(n, {})) != {"weight", "bias"}]
    if needs_routers and missing:
        raise ValueError(f"moga: no router for block {missing[0]} ({len(missing)} of {len(routed)} blocks have none)")
    unused = sorted(set(adapter.routers) - set(routed))
    if unused:
        warnings.warn(
            f"moga: routers of {len(unused)} blocks are not used, the first of block {unused[0]}", stacklevel=3
        )


@torch.compiler.disable
def _prepare(transformer: Any, args: tuple, kwargs: dict[str, Any]) -> None:
    state = transformer._moga
    if getattr(transformer, "_parallel_config", None) is not None:
        raise RuntimeError(
            "moga: context parallelism of diffusers splits the tokens that a router groups; it cannot be used with MoGA"
        )
    latents = args[0] if args else kwargs["hidden_states"]  # [B, C_z, F, Y', X']
    patch = transformer.config.patch_size
    sizes = [size // p for size, p in zip(latents.shape[2:], patch, strict=True)]
    with torch.inference_mode(False):  # groups made while sampling serve training as well
        state.prepare(latents.shape[0], *sizes, latents.device)
