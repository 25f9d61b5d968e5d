"""Gradients and shapes of the operators in torch.ops.moga.

Each forward operator has a backward operator of the library (its name with `_backward`); here they are connected. The
shapes let torch.compile and torch.export trace without data. Groupings are plain tensors and integers: 8 tensors
(index, offsets, sources and source_offsets of queries and of keys) and 6 numbers (longest, count, repeated of each).
"""

from typing import Any

import torch
from torch import Tensor

from moga import _library  # noqa: F401  (loads the operators)

_ops = torch.ops.moga
_SIZES = 6  # numbers of a Grouping


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _like(x: Tensor) -> Tensor:
    return x.new_empty(x.shape)


def _lse(q: Tensor, rows: int) -> Tensor:
    return q.new_empty((rows, q.shape[1]), dtype=_wide(q.dtype))


# attend: one grouping


@torch.library.register_fake("moga::attend")
def _(q: Tensor, k: Tensor, v: Tensor, rows: list[Tensor], sizes: list[int], backend: str) -> Any:
    return _like(q), _lse(q, q.shape[0])


@torch.library.register_fake("moga::attend_backward")
def _(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, output: Tensor, lse: Tensor, rows: Any, sizes: Any, backend: str
) -> Any:
    return _like(q), _like(k), _like(v)


def _keep_attend(ctx: Any, inputs: tuple, output: tuple) -> None:
    q, k, v, rows, sizes, backend = inputs
    ctx.save_for_backward(q, k, v, *output, *rows)
    ctx.sizes, ctx.backend = sizes, backend
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _attend_backward(ctx: Any, grad: Tensor | None, _lse: Any) -> tuple:
    q, k, v, output, lse, *rows = ctx.saved_tensors
    gradients = (None,) * 3
    if grad is not None:
        gradients = _ops.attend_backward(grad, q, k, v, output, lse, rows, ctx.sizes, ctx.backend)
    return (*gradients, [None] * len(rows), None, None)


torch.library.register_autograd("moga::attend", _attend_backward, setup_context=_keep_attend)


# attend_mean: the mean of several branches


@torch.library.register_fake("moga::attend_mean")
def _(q: Tensor, k: Tensor, v: Tensor, gate: Tensor | None, rows: Any, sizes: list[int], backend: str) -> Any:
    counts = sizes[1::_SIZES]
    return _like(q), [q.new_empty((n, *q.shape[1:])) for n in counts], [_lse(q, n) for n in counts]


@torch.library.register_fake("moga::attend_mean_backward")
def _(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    gate: Tensor | None,
    outputs: Any,
    lses: Any,
    rows: Any,
    sizes: Any,
    backend: str,
) -> Any:
    return _like(q), _like(k), _like(v), q.new_empty(0) if gate is None else _like(gate)


def _keep_mean(ctx: Any, inputs: tuple, output: tuple) -> None:
    q, k, v, gate, rows, sizes, backend = inputs
    _, outputs, lses = output
    ctx.save_for_backward(q, k, v, gate, *outputs, *lses, *rows)
    ctx.branches, ctx.sizes, ctx.backend = len(outputs), sizes, backend
    ctx.mark_non_differentiable(*outputs, *lses)
    ctx.set_materialize_grads(False)


def _mean_backward(ctx: Any, grad: Tensor | None, _outputs: Any, _lses: Any) -> tuple:
    q, k, v, gate, *kept = ctx.saved_tensors
    n = ctx.branches
    outputs, lses, rows = kept[:n], kept[n : 2 * n], kept[2 * n :]
    gradients = (None,) * 4
    if grad is not None:
        gradients = _ops.attend_mean_backward(grad, q, k, v, gate, outputs, lses, rows, ctx.sizes, ctx.backend)
    return (*gradients[:3], None if gate is None else gradients[3], [None] * len(rows), None, None)


torch.library.register_autograd("moga::attend_mean", _mean_backward, setup_context=_keep_mean)


# attend_union: one softmax over the union of several branches' keys


@torch.library.register_fake("moga::attend_union")
def _(q: Tensor, k: Tensor, v: Tensor, gate: Tensor | None, rows: Any, sizes: Any, backend: str) -> Any:
    lse = _lse(q, q.shape[0])
    if gate is None:
        return _like(q), lse, q.new_empty(0), lse.new_empty(0)
    return _like(q), lse, _like(q), _like(lse)


@torch.library.register_fake("moga::attend_union_backward")
def _(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    gate: Tensor | None,
    output: Any,
    lse: Any,
    gated_output: Any,
    gated_lse: Any,
    rows: Any,
    sizes: Any,
    backend: str,
) -> Any:
    return _like(q), _like(k), _like(v), q.new_empty(0) if gate is None else _like(gate)


def _keep_union(ctx: Any, inputs: tuple, output: tuple) -> None:
    q, k, v, gate, rows, sizes, backend = inputs
    ctx.save_for_backward(q, k, v, gate, *output, *rows)
    ctx.sizes, ctx.backend = sizes, backend
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)


def _union_backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple:
    q, k, v, gate, output, lse, gated_output, gated_lse, *rows = ctx.saved_tensors
    gradients = (None,) * 4
    if grad is not None:
        gradients = _ops.attend_union_backward(
            grad, q, k, v, gate, output, lse, gated_output, gated_lse, rows, ctx.sizes, ctx.backend
        )
    return (*gradients[:3], None if gate is None else gradients[3], [None] * len(rows), None, None)


torch.library.register_autograd("moga::attend_union", _union_backward, setup_context=_keep_union)


# route: the router's scores


@torch.library.register_fake("moga::route")
def _(x: Tensor, weight: Tensor, bias: Tensor) -> Any:
    probabilities = x.new_empty((x.shape[0], weight.shape[0]), dtype=_wide(x.dtype))
    return probabilities, x.new_empty(x.shape[0], dtype=torch.int64), probabilities.new_empty(x.shape[0])


@torch.library.register_fake("moga::route_backward")
def _(
    grad_probabilities: Any,
    grad_top: Any,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    probabilities: Any,
    group: Any,
    top: Any,
    with_x: bool,
) -> Any:
    return _like(x) if with_x else x.new_empty(0), _like(weight), _like(bias)


def _keep_route(ctx: Any, inputs: tuple, output: tuple) -> None:
    ctx.save_for_backward(*inputs, *output)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _route_backward(ctx: Any, grad_probabilities: Tensor | None, _group: Any, grad_top: Tensor | None) -> tuple:
    if grad_probabilities is None and grad_top is None:
        return (None,) * 3
    with_x = ctx.needs_input_grad[0]
    x, weight, bias = _ops.route_backward(grad_probabilities, grad_top, *ctx.saved_tensors, with_x)
    return x if with_x else None, weight, bias


torch.library.register_autograd("moga::route", _route_backward, setup_context=_keep_route)


# Backward operators have no gradients of their own


def _no_second_derivative(_ctx: Any, *_gradients: Any) -> Any:
    raise RuntimeError("moga: attention and routing have no second derivatives")


for _name in ("attend_backward", "attend_mean_backward", "attend_union_backward", "route_backward"):
    torch.library.register_autograd(f"moga::{_name}", _no_second_derivative)


# Groupings of a layout and of a routing


def _fake_rows(kind: str, videos: list[int], numbers: list[int], device: torch.device) -> list[Tensor]:
    lengths = _ops.group_shapes(kind, videos, numbers, device.type == "cuda")[:8]
    dtypes = (torch.int64, torch.int32, torch.int32, torch.int32) * 2
    return [torch.empty(n, dtype=dtype, device=device) for n, dtype in zip(lengths, dtypes, strict=True)]


@torch.library.register_fake("moga::full_groups")
def _(videos: list[int], *, device: torch.device) -> Any:
    return _fake_rows("full", videos, [], device)


@torch.library.register_fake("moga::frame_groups")
def _(videos: list[int], *, device: torch.device) -> Any:
    return _fake_rows("frame", videos, [], device)


@torch.library.register_fake("moga::window_groups")
def _(videos: list[int], windows: list[int], *, device: torch.device) -> Any:
    return _fake_rows("window", videos, windows, device)


@torch.library.register_fake("moga::text_groups")
def _(videos: list[int], text_lengths: list[int], *, device: torch.device) -> Any:
    return _fake_rows("text", videos, text_lengths, device)


def _video_count(videos: list[int]) -> int:
    count = at = 0
    while at < len(videos):
        count, at = count + 1, at + 4 + videos[at + 3]
    return count


@torch.library.register_fake("moga::routed_groups")
def _(group: Tensor, groups: int, videos: list[int]) -> Any:
    tokens = group.shape[0]
    offsets = group.new_empty(groups * _video_count(videos) + 1, dtype=torch.int32)
    return group.new_empty(tokens), offsets, group.new_empty(tokens, dtype=torch.int32)
