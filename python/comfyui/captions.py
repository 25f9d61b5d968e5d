"""Conditioning with one caption per shot: tokens of a shot see the caption of that shot only.

    text of shot 0 [1, L_0, C_t], of shot 1 [1, L_1, C_t], …  →  cross_attn [1, Σ L_s, C_t], ShotCaptions(L_0, L_1, …)

The lengths travel through the sampler with the conditioning, as the value of an argument of WanModel.forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import comfy.conds
import torch

# The argument of WanModel.forward that carries ShotCaptions. A model without MoGA would look at its size, and so stop
# with the line of ShotCaptions instead of showing all captions to all shots.
CARRIER = "time_dim_concat"

_WITHOUT_EFFECT = {"pooled_output"}  # entries of a conditioning that Wan does not read


@dataclass(frozen=True)
class ShotCaptions:
    """Text tokens of each shot's caption."""

    lengths: tuple[int, ...]

    def __getattr__(self, name: str) -> Any:
        if name in ("ndim", "shape"):
            raise ValueError(
                f"moga: the conditioning has a caption for each of {len(self.lengths)} shots, but the model that "
                "samples has no MoGA: connect MoGA Attention before the sampler"
            )
        raise AttributeError(name)


def shot_conditioning(captions: Sequence[list[Any]]) -> list[Any]:
    """One CONDITIONING from that of each shot's caption, in the order of the shots."""
    entries = [_entry(shot, conditioning) for shot, conditioning in enumerate(captions)]
    if len(entries) == 1:
        return list(captions[0])
    text = [entry[0] for entry in entries]
    width = text[0].shape[2]
    different = [shot for shot, tokens in enumerate(text) if tokens.shape[::2] != (1, width)]
    if different:
        raise ValueError(
            f"moga: the text of shot {different[0]} has shape {list(text[different[0]].shape)}, "
            f"expected [1, tokens, {width}]"
        )
    options = dict(entries[0][1])
    lengths = tuple(tokens.shape[1] for tokens in text)
    carried = {CARRIER: comfy.conds.CONDConstant(ShotCaptions(lengths))}
    options["model_conds"] = {**options.get("model_conds", {}), **carried}
    return [[torch.cat(text, dim=1), options]]


def _entry(shot: int, conditioning: list[Any]) -> list[Any]:
    if len(conditioning) != 1:
        raise ValueError(
            f"moga: the conditioning of shot {shot} has {len(conditioning)} entries, expected one: combine "
            "conditionings after MoGA Shot Prompts"
        )
    others = sorted(set(conditioning[0][1]) - _WITHOUT_EFFECT)
    if others:
        raise ValueError(
            f"moga: the conditioning of shot {shot} has {', '.join(others)}; nodes that set this come after "
            "MoGA Shot Prompts"
        )
    return conditioning[0]


def encoded(clip: Any, captions: Sequence[str]) -> list[list[Any]]:
    """The CONDITIONING of each caption."""
    if clip is None:
        raise ValueError(
            "moga: clip is None; a checkpoint without a text encoder? Wan takes one from Load CLIP, type wan"
        )
    return [clip.encode_from_tokens_scheduled(clip.tokenize(caption)) for caption in captions]


def paragraphs(text: str) -> list[str]:
    """Captions of a text: paragraphs, which blank lines separate. Lines of one paragraph are joined."""
    lines = [line.strip() for line in text.splitlines()]
    found: list[list[str]] = [[]]
    for line in lines:
        if line:
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [" ".join(paragraph) for paragraph in found if paragraph]
