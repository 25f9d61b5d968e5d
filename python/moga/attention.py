"""Attention over Groupings: the operators, and VisualAttention, which combines routed groups, windows and frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from moga.config import Config
from moga.grouping import Device, Grouping, StaticGroups, static_groups
from moga.layout import Layout
from moga.router import Router, balance_loss

_ops = torch.ops.moga


def default_backend(q: Tensor) -> str:
    """The backend that "auto" stands for with queries of this dtype, device and head size: sm90, flash, cpu, …"""
    return _ops.default_backend(q)


def attend(q: Tensor, k: Tensor, v: Tensor, grouping: Grouping, backend: str = "auto") -> tuple[Tensor, Tensor]:
    """softmax(q kᵀ / √D) v inside each group. q [Nq, H, D], k, v [Nk, H, D] → output [Nq, H, D], lse [Nq, H] float32.

    Gradients for q, k and v; lse has none. A query in no group has output 0 and lse -inf.
    """
    return _ops.attend(q, k, v, list(grouping.rows), list(grouping.sizes), backend)


def attend_mean(
    q: Tensor, k: Tensor, v: Tensor, groupings: Sequence[Grouping], gate: Tensor | None = None, backend: str = "auto"
) -> Tensor:
    """The mean of attention over several Groupings, [N, H, D]. gate [N] scales the last; it has a gradient too."""
    return _ops.attend_mean(q, k, v, gate, *_flat(groupings), backend)[0]


def attend_union(
    q: Tensor, k: Tensor, v: Tensor, groupings: Sequence[Grouping], gate: Tensor | None = None, backend: str = "auto"
) -> tuple[Tensor, Tensor]:
    """One softmax over the union of several Groupings' keys: output [N, H, D] and lse [N, H]. A key that two branches
    hold counts twice; gate [N], which must be positive, scales e^lse of the last branch."""
    return _ops.attend_union(q, k, v, gate, *_flat(groupings), backend)[:2]


def _flat(groupings: Sequence[Grouping]) -> tuple[list[Tensor], list[int]]:
    return [x for g in groupings for x in g.rows], [n for g in groupings for n in g.sizes]


class VisualOutput(NamedTuple):
    """output [N, H, D], and the balance loss times α: a scalar to average over layers, None without a router."""

    output: Tensor
    balance_loss: Tensor | None


class VisualAttention(nn.Module):
    """Visual attention of one block: O = mean of windows, frames and gate · routed groups (or their union, or full
    attention; see Config). It sits after the rotary embedding and before the output projection."""

    def __init__(self, width: int, config: Config | None = None) -> None:
        super().__init__()
        self.config = config or Config()
        self.router = Router(width, self.config.groups, self.config.gate) if self.config.uses_router else None

    def groups(self, layout: Layout, device: Device = "cpu") -> StaticGroups:
        """Groups of a layout, made once outside of what is compiled or captured, and shared by all layers."""
        return static_groups(layout, self.config, device)

    def forward(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, groups: StaticGroups) -> VisualOutput:
        """x [N, C] is the tensor that q, k, v [N, H, D] are projected from (after norm and modulation)."""
        return visual_attention(x, q, k, v, groups, self.config, self.router)


def visual_attention(
    x: Tensor, q: Tensor, k: Tensor, v: Tensor, groups: StaticGroups, config: Config, router: Router | None
) -> VisualOutput:
    """What VisualAttention computes, with a router that is kept elsewhere."""
    if config.kind == "full":
        return VisualOutput(attend(q, k, v, groups.full, config.backend)[0], None)
    branches = [branch for branch in (groups.window, groups.frame) if branch is not None]
    gate = loss = None
    if router is not None:
        routing = router(x, groups.videos)
        branches.append(routing.grouping)
        gate = routing.gate
        loss = balance_loss(routing, groups.videos, config.balance) * config.balance_weight
    if config.combine == "mean":
        return VisualOutput(attend_mean(q, k, v, branches, gate, config.backend), loss)
    return VisualOutput(attend_union(q, k, v, branches, gate, config.backend)[0], loss)
