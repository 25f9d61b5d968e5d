"""Puts MoGA into a MODEL of ComfyUI: a clone of its ModelPatcher, whose object patches replace what attention layers of
each block compute while that clone is loaded. ComfyUI's own layers project, rotate and normalise as before, so that
LoRA, 8-bit weights and offloading are its business; only the product over keys is ours (optimized_attention_override).

    diffusion_model                   a wrapper: groups of the batch, captions of the shots
    blocks.N.self_attn.forward        routed groups, windows and frames
    blocks.N.cross_attn.forward       the caption of each shot

Blocks with full attention (full_layers, and all in the first full_steps) keep ComfyUI's attention.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.wan.model import WanModel
from comfy.patcher_extension import CallbacksMP, WrappersMP
from torch import Tensor

import moga
from moga.adapter import Adapter, check_full_layers
from moga.attention import visual_attention
from moga.batch_groups import BatchGroups
from moga.shots import pixel_frames

from .captions import ShotCaptions
from .lora import add_lora

_MOGA = "moga"  # key in transformer_options: the MoGA of a MODEL
_CALL = "moga_call"  # key in transformer_options: what blocks need of the evaluation under way
_OVERRIDE = "optimized_attention_override"  # ComfyUI's key in transformer_options

# Inputs of WanModel that add tokens to those of the video.
_MORE_TOKENS = ("time_dim_concat", "reference_latent", "context_latents")


class Moga:
    """What the patches of one MODEL share. shot_frames: latent frames of each shot, empty: one shot."""

    def __init__(
        self, config: moga.Config, routers: dict[int, moga.Router], shot_frames: tuple[int, ...], full_steps: int
    ) -> None:
        self.config = config
        self.shot_frames = shot_frames
        self.full_steps = full_steps
        self.groups = BatchGroups(config)
        self._routers = routers
        self._moved: dict[tuple[int, str], moga.Router] = {}

    def router(self, block: int, device: torch.device) -> moga.Router | None:
        """The block's router on a device. Routers of a 14B model take 4 MB."""
        if block not in self._routers:
            return None
        key = (block, str(device))
        if key not in self._moved:
            self._moved[key] = self._routers[block].to(device)
        return self._moved[key]


@dataclass(frozen=True)
class Call:
    """One evaluation of the model. captions: groups of cross-attention, None: all tokens see the whole text."""

    moga: Moga
    groups: moga.StaticGroups
    captions: moga.Grouping | None
    text_tokens: int
    full: bool


def apply(
    model: Any,
    config: moga.Config,
    adapter: Adapter,
    shot_frames: tuple[int, ...] = (),
    full_steps: int = 0,
    lora_strength: float = 1.0,
) -> Any:
    """A clone of the MODEL with MoGA. adapter: routers and a LoRA, its settings are not used."""
    diffusion = model.get_model_object("diffusion_model")
    if type(diffusion) is not WanModel:
        raise TypeError(
            f"moga: the model is a {type(diffusion).__name__}, expected a WanModel: Wan2.1 or Wan2.2, text- or "
            "image-to-video (Torch Compile comes after MoGA)"
        )
    if _MOGA in model.model_options["transformer_options"]:
        raise ValueError("moga: this model has MoGA already; connect MoGA Attention once")
    if adapter.base:
        adapter.check_base(len(diffusion.blocks), diffusion.dim, _shapes(diffusion))
    check_full_layers(config, len(diffusion.blocks))
    routers = _routers(config, adapter, len(diffusion.blocks), diffusion.dim)
    patched = add_lora(model.clone(), adapter, lora_strength)
    state = Moga(config, routers, shot_frames, full_steps)
    for number in range(len(diffusion.blocks)):
        name = f"diffusion_model.blocks.{number}"
        if config.of_layer(number).kind != "full":
            forward = model.get_model_object(f"{name}.self_attn.forward")
            patched.add_object_patch(f"{name}.self_attn.forward", _self_attention(forward, number, config))
        forward = model.get_model_object(f"{name}.cross_attn.forward")
        has_image = hasattr(diffusion.blocks[number].cross_attn, "k_img")
        patched.add_object_patch(f"{name}.cross_attn.forward", _cross_attention(forward, has_image, config))
    patched.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, _MOGA, _prepare)
    if hasattr(CallbacksMP, "ON_DEEPCLONE_MULTIGPU"):  # ComfyUI before it has one GPU for a model
        patched.add_callback_with_key(CallbacksMP.ON_DEEPCLONE_MULTIGPU, _MOGA, _refuse_several_gpus)
    patched.model_options["transformer_options"][_MOGA] = state
    logging.info("moga: %s", _described(state, len(diffusion.blocks), adapter))
    return patched


def _shapes(diffusion: Any) -> dict[str, list[int]]:
    ends = (".weight", ".bias", "modulation", ".emb_pos")  # other names are scales of 8-bit weights
    return {name: list(tensor.shape) for name, tensor in diffusion.named_parameters() if name.endswith(ends)}


def _routers(config: moga.Config, adapter: Adapter, blocks: int, width: int) -> dict[int, moga.Router]:
    routed = [block for block in range(blocks) if config.of_layer(block).uses_router]
    if not routed:
        return {}
    if not adapter.routers:
        if config.groups > 1:
            raise ValueError(
                f"moga: groups = {config.groups} needs routers: connect MoGA Load Adapter (moga calibrate --adapter "
                "writes one), or set groups to 0 for windows and frames alone"
            )
        return {block: moga.Router(width, 1, config.gate) for block in routed}  # one group: nothing to decide
    return {block: adapter.router(block, width, config) for block in routed}


def _described(state: Moga, blocks: int, adapter: Adapter) -> str:
    config, windows = state.config, state.config.windows
    visual = sum(config.of_layer(block).kind != "full" for block in range(blocks))
    parts = [f"{visual} of {blocks} blocks"]
    if config.uses_router:
        parts.append(f"{config.groups} groups")
    if config.window:
        parts.append(f"windows {windows.rows}x{windows.columns} of {windows.run_frames} latent frames")
    if config.frame:
        parts.append("frames")
    parts.append(f"combine {config.combine}")
    if state.shot_frames:
        parts.append("shots of " + "+".join(map(str, state.shot_frames)) + " latent frames")
    if adapter.source:
        parts.append(f"adapter {adapter.source}")
    return ", ".join(parts)


def _refuse_several_gpus(*_: Any) -> None:
    raise ValueError("moga: MoGA cannot be used with a model that is copied to several GPUs")


def _prepare(
    executor: Any,
    x: Tensor,
    timestep: Tensor,
    context: Tensor,
    clip_fea: Tensor | None = None,
    time_dim_concat: Any = None,
    transformer_options: dict[str, Any] | None = None,
    **inputs: Any,
) -> Tensor:
    """Runs the model with what its blocks need. x [B, C_z, F, Y', X'], context [B, text tokens, C_t]."""
    options = transformer_options or {}
    state: Moga = options[_MOGA]
    captions = None
    if isinstance(time_dim_concat, ShotCaptions):
        captions, time_dim_concat = time_dim_concat, None
    diffusion = executor.class_obj
    _check_inputs(diffusion, {**inputs, "time_dim_concat": time_dim_concat})
    videos, (frames, rows, columns) = x.shape[0], _token_sizes(x, diffusion.patch_size)
    if state.shot_frames and sum(state.shot_frames) != frames:
        raise ValueError(
            f"moga: shots have {sum(state.shot_frames)} latent frames in all, the video has {frames}: connect the "
            f"length of MoGA Shots ({pixel_frames(sum(state.shot_frames))}) to the node that makes the latent; context "
            "windows cannot be used with MoGA"
        )
    layout = moga.Layout.of(frames, rows, columns, state.shot_frames, videos)
    call = Call(
        state,
        state.groups.static(layout, x.device),
        _caption_groups(state, captions, layout, context, x.device),
        context.shape[1],
        _is_full(state, options),
    )
    options = {**options, _CALL: call}
    return executor(x, timestep, context, clip_fea, time_dim_concat, options, **inputs)


def _check_inputs(diffusion: Any, inputs: dict[str, Any]) -> None:
    for name in _MORE_TOKENS:
        unused = name == "reference_latent" and diffusion.ref_conv is None
        if inputs.get(name) is not None and not unused:
            raise ValueError(
                f"moga: the conditioning has {name}, which adds tokens that belong to no shot; not supported"
            )


def _token_sizes(x: Tensor, patch: tuple[int, int, int]) -> list[int]:
    return [-(-size // length) for size, length in zip(x.shape[2:], patch)]  # ComfyUI pads to whole patches


def _caption_groups(
    state: Moga, captions: ShotCaptions | None, layout: moga.Layout, context: Tensor, device: torch.device
) -> moga.Grouping | None:
    if captions is None:
        return None
    shots = len(state.shot_frames) or 1
    if len(captions.lengths) != shots:
        raise ValueError(
            f"moga: the conditioning has captions of {len(captions.lengths)} shots, the model has {shots}: connect the "
            "same MoGA Shots to MoGA Attention and to the prompts"
        )
    if sum(captions.lengths) != context.shape[1]:
        raise ValueError(
            f"moga: the captions of the shots have {sum(captions.lengths)} text tokens, the conditioning has "
            f"{context.shape[1]}: nodes that add text come before MoGA Shot Prompts"
        )
    return state.groups.text(layout, captions.lengths * len(layout.videos), device)


def _is_full(state: Moga, options: dict[str, Any]) -> bool:
    """Whether the evaluation belongs to the first full_steps steps of the sampler."""
    if state.full_steps == 0:
        return False
    sigmas = options.get("sample_sigmas")
    if sigmas is None or options.get("sigmas") is None:
        raise ValueError("moga: full_steps needs a sampler that states its sigmas")
    if state.full_steps >= len(sigmas):
        return True
    return float(options["sigmas"][0]) > float(sigmas[state.full_steps])


def _packed(x: Tensor, heads: int) -> Tensor:
    """[B, N, H·D] → [B·N, H, D]"""
    return x.reshape(-1, heads, x.shape[-1] // heads)


def _check_call(mask: Any, skip_reshape: bool) -> None:
    if mask is not None or skip_reshape:
        raise ValueError("moga: ComfyUI calls attention of Wan with a mask or with separate heads; not supported")


def _self_attention(forward: Callable[..., Tensor], block: int, config: moga.Config) -> Callable[..., Tensor]:
    def visual(x: Tensor, freqs: Tensor, transformer_options: dict[str, Any] = {}, **more: Any) -> Tensor:  # noqa: B006
        comfy.model_management.throw_exception_if_processing_interrupted()
        call: Call = transformer_options[_CALL]
        if call.full:
            return forward(x, freqs, transformer_options=transformer_options, **more)

        def attend(
            _own: Any, q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Any = None, *_: Any, **options: Any
        ) -> Tensor:
            _check_call(mask, options.get("skip_reshape", False))
            rows = (x.reshape(-1, x.shape[-1]), *(_packed(tensor, heads) for tensor in (q, k, v)))
            output = visual_attention(*rows, call.groups, config, call.moga.router(block, x.device)).output
            return output.reshape(q.shape)

        return forward(x, freqs, transformer_options={**transformer_options, _OVERRIDE: attend}, **more)

    return visual


def _cross_attention(forward: Callable[..., Tensor], has_image: bool, config: moga.Config) -> Callable[..., Tensor]:
    def by_shot(x: Tensor, context: Tensor, transformer_options: dict[str, Any] = {}, **more: Any) -> Tensor:  # noqa: B006
        call: Call = transformer_options[_CALL]
        if call.captions is None:
            return forward(x, context, transformer_options=transformer_options, **more)
        theirs = transformer_options.get(_OVERRIDE)
        images_left = 1 if has_image else 0  # Wan2.1 image-to-video attends to the image first, then to the text

        def attend(own: Any, q: Tensor, k: Tensor, v: Tensor, heads: int, *arguments: Any, **options: Any) -> Tensor:
            nonlocal images_left
            if images_left > 0:
                images_left -= 1
                return (theirs or _call_own)(own, q, k, v, heads, *arguments, **options)
            _check_call(arguments[0] if arguments else options.get("mask"), options.get("skip_reshape", False))
            if k.shape[1] != call.text_tokens:
                raise RuntimeError(
                    f"moga: cross-attention has {k.shape[1]} keys, expected {call.text_tokens} text tokens"
                )
            rows = [_packed(tensor, heads) for tensor in (q, k, v)]
            return moga.attend(*rows, call.captions, config.backend)[0].reshape(q.shape)

        return forward(x, context, transformer_options={**transformer_options, _OVERRIDE: attend}, **more)

    return by_shot


def _call_own(own: Callable[..., Tensor], *arguments: Any, **options: Any) -> Tensor:
    return own(*arguments, **options)
