"""Grouping: which rows attend to which. Each query of a group attends, by full softmax, to all keys of its group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils import _pytree

from moga.config import Config, Windows
from moga.layout import Layout

_ops = torch.ops.moga
Device = torch.device | str


@dataclass(frozen=True)
class Grouping:
    """Query rows and key rows of each group, as the operators take them (moga/operators.py).

    rows: 8 tensors, for queries and then keys: index int64 [n] (empty: rows 0, 1, …), offsets int32 [G + 1], and the
    inverse of the index. sizes: 6 numbers, for each: longest group, n, whether a row is in several groups.
    """

    rows: tuple[Tensor, ...]
    sizes: tuple[int, ...]

    @property
    def groups(self) -> int:
        """G"""
        return self.rows[1].shape[0] - 1

    def lengths(self) -> tuple[Tensor, Tensor]:
        """Queries and keys of each group, int32 [G], on the device."""
        return self.rows[1].diff(), self.rows[5].diff()


@dataclass(frozen=True)
class StaticGroups:
    """What of an attention depends on the layout alone. Made once for a layout and shared by all layers."""

    videos: tuple[int, ...]
    full: Grouping
    window: Grouping | None
    frame: Grouping | None


for _class in (Grouping, StaticGroups):
    _pytree.register_dataclass(_class)


def _grouping(rows: list[Tensor], kind: str, layout: Layout, numbers: Sequence[int], device: Device) -> Grouping:
    shapes = _ops.group_shapes(kind, layout.numbers(), list(numbers), torch.device(device).type == "cuda")
    return Grouping(tuple(rows), tuple(shapes[8:]))


def full_groups(layout: Layout, device: Device = "cpu") -> Grouping:
    """Full attention: one group per video."""
    return _grouping(_ops.full_groups(layout.numbers(), device=torch.device(device)), "full", layout, (), device)


def frame_groups(layout: Layout, device: Device = "cpu") -> Grouping:
    """Every latent frame is a group."""
    return _grouping(_ops.frame_groups(layout.numbers(), device=torch.device(device)), "frame", layout, (), device)


def window_groups(layout: Layout, windows: Windows | None = None, device: Device = "cpu") -> Grouping:
    """One group per spatial window and run of frames; keys also include nearest frames beyond a shot boundary."""
    numbers = (windows or Windows()).numbers()
    rows = _ops.window_groups(layout.numbers(), numbers, device=torch.device(device))
    return _grouping(rows, "window", layout, numbers, device)


def text_groups(layout: Layout, text_lengths: Sequence[int], device: Device = "cpu") -> Grouping:
    """Cross-attention by shot: tokens of shot s see text tokens of caption s. One length per shot of all videos."""
    lengths = list(text_lengths)
    rows = _ops.text_groups(layout.numbers(), lengths, device=torch.device(device))
    return _grouping(rows, "text", layout, lengths, device)


def routed_groups(group: Tensor, groups: int, videos: Sequence[int]) -> Grouping:
    """Routed groups from `group` int64 [N], the number in [0, `groups`) of each token; `videos` is Layout.numbers().
    Token n of video b goes to group b · `groups` + group[n]. Works on the device and waits for nothing."""
    index, offsets, places = _ops.routed_groups(group, groups, list(videos))
    rows = (index, offsets, places, places.new_empty(0))
    longest = max(_tokens_of_videos(videos))
    return Grouping(rows + rows, (longest, group.shape[0], 0) * 2)


def _tokens_of_videos(videos: Sequence[int]) -> list[int]:
    tokens, at = [], 0
    while at < len(videos):
        tokens.append(videos[at] * videos[at + 1] * videos[at + 2])
        at += 4 + videos[at + 3]
    return tokens


def static_groups(layout: Layout, config: Config, device: Device = "cpu") -> StaticGroups:
    """Full groups, and those of windows and frames that `config` uses."""
    moga = config.kind == "moga"
    return StaticGroups(
        tuple(layout.numbers()),
        full_groups(layout, device),
        window_groups(layout, config.windows, device) if moga and config.window else None,
        frame_groups(layout, device) if moga and config.frame else None,
    )
