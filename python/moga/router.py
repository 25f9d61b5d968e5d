"""Router: one linear layer that assigns each token to one of M groups, and the loss that keeps the groups even."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from moga.grouping import Grouping, routed_groups

_ops = torch.ops.moga


class Routing(NamedTuple):
    """probabilities [N, M] float32, group [N] int64, gate [N] float32 (None with gate "none"), and the Grouping."""

    probabilities: Tensor
    group: Tensor
    gate: Tensor | None
    grouping: Grouping


class Router(nn.Module):
    """r = W x + b, p = softmax(r) in float32, g = argmax p (lowest index on a tie). One per layer, for all heads.

    gate: what scales the output of routed attention: "probability" p(g(x)|x), as in the paper; "straight_through" 1
    with the gradient of the probability; "none".

    Its parameters stay float32 when a model is cast to bfloat16 or float16: a rounded logit would route one token in
    400 elsewhere.
    """

    def __init__(self, width: int, groups: int, gate: str = "probability") -> None:
        super().__init__()
        if gate not in ("probability", "straight_through", "none"):
            raise ValueError(f"gate {gate!r} is not one of probability, straight_through, none")
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(groups, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(groups))
        self.gate = gate

    def forward(self, x: Tensor, videos: Sequence[int]) -> Routing:
        """x [N, C], all tokens of the layout whose numbers() are `videos`."""
        probabilities, group, top = _ops.route(x, self.weight, self.bias)
        gate: Tensor | None = top
        if self.gate == "straight_through":
            gate = (top - top.detach()) + 1
        elif self.gate == "none":
            gate = None
        return Routing(probabilities, group, gate, routed_groups(group, self.weight.shape[0], videos))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Router:
        def keep_precision(x: Tensor) -> Tensor:
            moved = fn(x)
            return x.to(moved.device) if moved.dtype in (torch.bfloat16, torch.float16) else moved

        return super()._apply(keep_precision, recurse)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, groups={self.weight.shape[0]}, gate={self.gate!r}"


def balance_loss(routing: Routing, videos: Sequence[int], form: str = "switch") -> Tensor:
    """M · Σ_i F_i · P_i, mean over videos, without the factor α: a scalar. form: "switch" averages p over all tokens
    (1 at balance), "paper" sums it over the tokens of group i only."""
    return _ops.balance_loss(routing.probabilities, routing.group, routing.grouping.rows[1], list(videos), form)
