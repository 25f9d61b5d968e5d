"""The two attention processors of a Wan block: visual attention, and cross-attention to the caption of each shot."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from torch import Tensor

from moga.attention import attend, visual_attention
from moga.config import Config
from moga.diffusers.state import State


def _rotated(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """x [B, N, H, D] by Wan's rotary embedding, whose cosines and sines [1, N, 1, D] repeat for each pair."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    cosine, sine = rotary[0][..., 0::2], rotary[1][..., 1::2]
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1).flatten(-2).type_as(x)


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(2, (heads, -1))


def _output(attention: Any, attended: Tensor) -> Tensor:
    for layer in attention.to_out:
        attended = layer(attended)
    return attended


class VisualProcessor:
    """Self-attention of one block: the block's router and the groups of the batch decide which tokens attend."""

    _attention_backend = None
    _parallel_config = None

    def __init__(self, state: State, config: Config) -> None:
        self.state = state
        self.config = config
        self.full = config if config.kind == "full" else Config(kind="full", backend=config.backend)

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """hidden_states [B, N, C] → [B, N, C]"""
        if attention_mask is not None:
            raise ValueError("moga: self-attention takes no attention mask")
        if attn.fused_projections:
            query, key, value = attn.to_qkv(hidden_states).chunk(3, dim=-1)
        else:
            query, key, value = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)
        query, key, value = (_heads(x, attn.heads) for x in (attn.norm_q(query), attn.norm_k(key), value))
        if rotary_emb is not None:
            query, key = _rotated(query, rotary_emb), _rotated(key, rotary_emb)
        state = self.state
        full = state.full or self.config.kind == "full"
        output, loss = visual_attention(
            *(x.flatten(0, 1) for x in (hidden_states, query, key, value)),
            state.groups,
            self.full if full else self.config,
            None if full else getattr(attn, "router", None),
        )
        if loss is not None and loss.requires_grad:
            state.losses.append(loss)
        return _output(attn, output.flatten(1).unflatten(0, hidden_states.shape[:2]).type_as(query))


class CaptionProcessor(WanAttnProcessor):
    """Cross-attention: with one caption per shot, the tokens of a shot see the caption of that shot; with one caption,
    diffusers' own. Image tokens in front of the captions (Wan2.1 image-to-video) are seen by all."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """hidden_states [B, N, C], encoder_hidden_states [B, (image +) captions · text_tokens, C] → [B, N, C]"""
        state = self.state
        if encoder_hidden_states is None or state.shots == 1:
            return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb)
        total, wanted = encoder_hidden_states.shape[1], state.shots * state.text_tokens
        if total < wanted or (attn.add_k_proj is None and total != wanted):
            raise ValueError(
                f"moga: {total} text tokens, expected {wanted}: {state.shots} captions of {state.text_tokens}, "
                "one per shot (moga.diffusers.ShotPipeline encodes them)"
            )
        image, text = encoder_hidden_states.split([total - wanted, wanted], dim=1)
        query = _heads(attn.norm_q(attn.to_q(hidden_states)), attn.heads)
        if attn.fused_projections:
            key, value = attn.to_kv(text).chunk(2, dim=-1)
        else:
            key, value = attn.to_k(text), attn.to_v(text)
        key, value = _heads(attn.norm_k(key), attn.heads), _heads(value, attn.heads)
        output, _ = attend(*(x.flatten(0, 1) for x in (query, key, value)), state.text, state.config.backend)
        output = output.flatten(1).unflatten(0, hidden_states.shape[:2])
        if attn.add_k_proj is not None:
            output = output + self._image(attn, query, image)
        return _output(attn, output.type_as(query))

    @staticmethod
    def _image(attn: Any, query: Tensor, image: Tensor) -> Tensor:
        if attn.fused_projections:
            key, value = attn.to_added_kv(image).chunk(2, dim=-1)
        else:
            key, value = attn.add_k_proj(image), attn.add_v_proj(image)
        rows = (query, _heads(attn.norm_added_k(key), attn.heads), _heads(value, attn.heads))
        attended = torch.nn.functional.scaled_dot_product_attention(*(x.transpose(1, 2) for x in rows))
        return attended.transpose(1, 2).flatten(2)
