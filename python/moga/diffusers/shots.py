"""Shots: which latent frames belong to which, and a pipeline call with one prompt per shot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from moga.shots import WAN_TEXT_TOKENS, latent_shot_frames, pixel_frames


def set_shots(transformer: Any, shot_frames: Sequence[int] = (), text_tokens: int = WAN_TEXT_TOKENS) -> None:
    """Latent frames of each shot of the next videos, and text tokens of each caption. Without shots: one."""
    if not hasattr(transformer, "_moga"):
        raise ValueError("moga: this transformer has no MoGA; moga.diffusers.apply puts it there")
    transformer._moga.shot_frames = tuple(shot_frames)
    transformer._moga.text_tokens = text_tokens


class ShotPipeline:
    """A Wan pipeline of diffusers whose call takes one prompt per shot. All else is the pipeline's own."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._transformers = [
            part for part in (pipeline.transformer, getattr(pipeline, "transformer_2", None)) if part is not None
        ]
        for part in self._transformers:
            if not hasattr(part, "_moga"):
                raise ValueError("moga: a transformer of this pipeline has no MoGA; moga.diffusers.apply puts it there")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)

    def __call__(
        self,
        prompt: Sequence[str],
        shot_frames: Sequence[int],
        *,
        negative_prompt: str = "",
        global_prompt: str = "",
        full_steps: int = 0,
        guidance_scale: float = 5.0,
        max_sequence_length: int = WAN_TEXT_TOKENS,
        callback_on_step_end: Callable[..., Any] | None = None,
        **arguments: Any,
    ) -> Any:
        """One video. prompt: one per shot; shot_frames: pixel frames of each; global_prompt: in front of each prompt;
        full_steps: first steps with full attention. Others: those of the pipeline, without num_frames and embeddings.
        """
        if isinstance(prompt, str) or len(prompt) != len(shot_frames):
            count = 1 if isinstance(prompt, str) else len(prompt)
            raise ValueError(f"moga: {count} prompts for {len(shot_frames)} shots, expected a list with one for each")
        given = {"num_frames", "prompt_embeds", "negative_prompt_embeds"} & set(arguments)
        if given:
            raise ValueError(f"moga: {', '.join(sorted(given))}: follows from prompt and shot_frames")
        stride = self._pipeline.vae_scale_factor_temporal
        lengths = latent_shot_frames(shot_frames, stride)
        prompts = [f"{global_prompt} {own}" if global_prompt else own for own in prompt]
        positive, negative = self._encoded(prompts, negative_prompt, guidance_scale, max_sequence_length)
        for part in self._transformers:
            set_shots(part, lengths, max_sequence_length)
        self._set_full(full_steps > 0)
        try:
            return self._pipeline(
                prompt_embeds=positive,
                negative_prompt_embeds=negative,
                num_frames=pixel_frames(sum(lengths), stride),
                guidance_scale=guidance_scale,
                max_sequence_length=max_sequence_length,
                callback_on_step_end=self._callback(full_steps, callback_on_step_end),
                **arguments,
            )
        finally:
            self._set_full(False)

    def _encoded(self, prompts: list[str], negative: str, guidance: float, length: int) -> tuple[Tensor, Tensor | None]:
        """[1, shots · length, text_dim] of the captions, and of the negative prompt for each shot."""
        self._check_lengths([*prompts, negative], length)
        with torch.no_grad():
            positive, negative_embeds = self._pipeline.encode_prompt(
                prompts, [negative] * len(prompts), do_classifier_free_guidance=guidance > 1, max_sequence_length=length
            )
        joined = positive.flatten(0, 1).unsqueeze(0)
        return joined, None if negative_embeds is None else negative_embeds.flatten(0, 1).unsqueeze(0)

    def _check_lengths(self, prompts: list[str], length: int) -> None:
        for number, prompt in enumerate(prompts):
            tokens = len(self._pipeline.tokenizer(prompt).input_ids)
            if tokens > length:
                what = "the negative prompt" if number == len(prompts) - 1 else f"the prompt of shot {number}"
                raise ValueError(f"moga: {what} has {tokens} text tokens, the model reads {length}")

    def _set_full(self, full: bool) -> None:
        for part in self._transformers:
            part._moga.full = full

    def _callback(self, full_steps: int, theirs: Callable[..., Any] | None) -> Callable[..., Any] | None:
        if full_steps <= 0:
            return theirs

        def step_ended(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            self._set_full(step + 1 < full_steps)
            return theirs(pipeline, step, timestep, tensors) if theirs else tensors

        return step_ended
