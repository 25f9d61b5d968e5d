"""Every operator through PyTorch's own checks, and its gradients against finite differences."""

import pytest
import torch
from conftest import branches, gpu, random_inputs

import moga

ops = torch.ops.moga


def check(operator, *arguments, **keywords):
    torch.library.opcheck(operator, arguments, keywords)


def flat(groupings):
    return [x for g in groupings for x in g.rows], [n for g in groupings for n in g.sizes], "auto"


def gate_of(layout, dtype=torch.float32, device="cpu"):
    return torch.linspace(0.2, 0.9, layout.tokens, dtype=dtype, device=device).requires_grad_()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_opcheck_attend(layout, dtype):
    _, q, k, v = random_inputs(layout, dtype)
    check(ops.attend.default, q, k, v, *flat(branches(layout)[2:]))


@pytest.mark.parametrize("name", ["attend_mean", "attend_union"])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opcheck_of_several_branches(layout, name, gated, dtype):
    _, q, k, v = random_inputs(layout, dtype)
    gate = gate_of(layout, dtype) if gated else None
    check(getattr(ops, name).default, q, k, v, gate, *flat(branches(layout)))


@pytest.mark.parametrize("name", ["attend_mean", "attend_union"])
def test_opcheck_of_one_branch(layout, name):
    _, q, k, v = random_inputs(layout)
    check(getattr(ops, name).default, q, k, v, None, *flat(branches(layout)[1:2]))


def test_opcheck_route_and_balance_loss(layout):
    x = random_inputs(layout)[0]
    weight, bias = torch.randn(3, x.shape[1], requires_grad=True), torch.randn(3, requires_grad=True)
    check(ops.route.default, x, weight, bias)
    check(ops.route.default, x.detach(), weight, bias)
    p, group, _ = ops.route(x.detach(), weight.detach(), bias.detach())
    offsets = moga.routed_groups(group, 3, layout.numbers()).rows[1]
    for form in ("switch", "paper"):
        check(ops.balance_loss.default, p.requires_grad_(), group, offsets, layout.numbers(), form)


def test_opcheck_group_construction(layout):
    videos = layout.numbers()
    check(ops.full_groups.default, videos, device=torch.device("cpu"))
    check(ops.frame_groups.default, videos, device=torch.device("cpu"))
    check(ops.window_groups.default, videos, [2, 2, 2, 1], device=torch.device("cpu"))
    check(ops.text_groups.default, videos, [3, 0, 5], device=torch.device("cpu"))
    check(ops.routed_groups.default, torch.randint(3, (layout.tokens,)), 3, videos)


@pytest.mark.parametrize("name", ["attend_mean", "attend_union"])
def test_gradients_of_branches_are_finite_differences(name):
    layout = moga.Layout.of(3, 2, 2, [1, 2])
    _, q, k, v = random_inputs(layout, torch.float64, size=4)
    groupings = [*branches(layout, moga.Config(groups=3, windows=moga.Windows(run_frames=2)))]
    operator = getattr(ops, name)
    run = lambda *x: operator(*x, *flat(groupings))[0]  # noqa: E731
    assert torch.autograd.gradcheck(run, (q, k, v, gate_of(layout, torch.float64)))


def test_gradients_of_route_are_finite_differences():
    layout = moga.Layout.of(3, 2, 2)
    x = random_inputs(layout, torch.float64)[0]
    weight, bias = torch.randn(3, x.shape[1]).double().requires_grad_(), torch.randn(3).double().requires_grad_()

    def run(*inputs):
        p, group, top = ops.route(*inputs)
        offsets = moga.routed_groups(group, 3, layout.numbers()).rows[1]
        return p, top, ops.balance_loss(p, group, offsets, layout.numbers(), "switch")

    assert torch.autograd.gradcheck(run, (x, weight, bias))


def test_backends_agree_in_outputs_and_gradients(layout):
    _, q, k, v = random_inputs(layout)
    gate, groupings = gate_of(layout), flat(branches(layout))
    for operator in (ops.attend_mean, ops.attend_union):
        results = []
        for backend in ("cpu", "reference"):
            output = operator(q, k, v, gate, *groupings[:2], backend)[0]
            results.append([output, *torch.autograd.grad(output.square().sum(), (q, k, v, gate))])
        for ours, expected in zip(*results, strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


@gpu
@pytest.mark.parametrize("name", ["attend_mean", "attend_union"])
@pytest.mark.parametrize("size", [16, 64, 128])  # FlashAttention, and our kernels
def test_opcheck_cuda(layout, name, size):
    _, q, k, v = random_inputs(layout, torch.bfloat16, "cuda", size=size)
    groupings, close = flat(branches(layout, device="cuda")), {"rtol": 0.02, "atol": 0.02}
    operator = getattr(ops, name).default
    torch.library.opcheck(operator, (q, k, v, gate_of(layout, device="cuda"), *groupings), **close)
    torch.library.opcheck(ops.attend.default, (q, k, v, *flat(branches(layout, device="cuda")[2:])), **close)


def attention_and_gradients(name, layout, dtype, backend, size):
    _, q, k, v = random_inputs(layout, torch.bfloat16, "cuda", requires_grad=False, size=size)
    inputs = [x.to(dtype).requires_grad_() for x in (q, k, v)] + [gate_of(layout, device="cuda")]
    output = getattr(ops, name)(*inputs, *flat(branches(layout, device="cuda"))[:2], backend)[0]
    return [x.float() for x in (output, *torch.autograd.grad(output.float().square().sum(), inputs))]


@gpu
@pytest.mark.parametrize("name", ["attend_mean", "attend_union"])
@pytest.mark.parametrize("size", [16, 64, 128])
def test_errors_are_at_most_twice_those_of_plain_operations_cuda(layout, name, size):
    expected = attention_and_gradients(name, layout, torch.float32, "reference", size)
    ours = attention_and_gradients(name, layout, torch.bfloat16, "auto", size)
    plain = attention_and_gradients(name, layout, torch.bfloat16, "reference", size)
    for x, y, exact in zip(ours, plain, expected, strict=True):
        assert (x - exact).norm() <= 2 * (y - exact).norm()


def test_second_derivatives_are_refused(layout):
    _, q, k, v = random_inputs(layout)
    output = ops.attend(q, k, v, *flat(branches(layout)[:1]))[0]
    (first,) = torch.autograd.grad(output.square().sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        first.sum().backward()
