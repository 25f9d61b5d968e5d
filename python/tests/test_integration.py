"""VisualAttention under torch.compile, torch.export, checkpointing, mixed precision, FSDP2 and CUDA graphs."""

import functools
import os

import pytest
import torch
import torch.distributed as dist
from conftest import gpu, gradients, random_inputs
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

import moga

SIZES = [16, 64]  # of a head; on Hopper attention runs on FlashAttention and on our kernels


class Block(torch.nn.Module):
    """Projections and attention: x [N, C] → [N, H·D]."""

    def __init__(self, config=None, heads=2, size=16):
        super().__init__()
        self.heads = heads
        self.qkv = torch.nn.Linear(32, 3 * heads * size)
        self.attention = moga.VisualAttention(32, config or moga.Config(groups=3))

    def forward(self, x, groups):
        q, k, v = self.qkv(x).unflatten(1, (3, self.heads, -1)).unbind(1)
        output, loss = self.attention(x, q, k, v, groups)
        return output.flatten(1), loss


def block_and_inputs(layout, config=None, device="cpu", size=16):
    torch.manual_seed(0)
    block = Block(config, size=size).to(device)
    return block, random_inputs(layout, device=device)[0], block.attention.groups(layout, device)


def assert_same(results, expected, **tolerance):
    for ours, theirs in zip(results, expected, strict=True):
        torch.testing.assert_close(ours, theirs, **tolerance)


def everything(function, x, block):
    """Output, loss and all gradients."""
    output, loss = function(x)
    return [output, loss, *gradients(output.square().sum() + loss, [x, *block.parameters()])]


@pytest.mark.parametrize("combine", ["mean", "lse"])
def test_compiles_without_a_graph_break(layout, combine):
    block, x, groups = block_and_inputs(layout, moga.Config(groups=3, combine=combine))
    expected = everything(lambda x: block(x, groups), x, block)
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    assert_same(everything(lambda x: compiled(x, groups), x, block), expected)


def test_exports(layout):
    block, x, groups = block_and_inputs(layout)
    program = torch.export.export(block, (x.detach(), groups))
    assert_same(program.module()(x, groups), block(x, groups))


def keep_attention(_context, operator, *_args, **_kwargs):
    saved = operator is torch.ops.moga.attend_mean.default
    return CheckpointPolicy.MUST_SAVE if saved else CheckpointPolicy.PREFER_RECOMPUTE


@pytest.mark.parametrize("selective", [False, True])
def test_is_recomputed_to_the_same_bits(layout, selective):
    block, x, groups = block_and_inputs(layout)
    expected = everything(lambda x: block(x, groups), x, block)
    options = (
        {"context_fn": functools.partial(create_selective_checkpoint_contexts, keep_attention)} if selective else {}
    )
    recomputed = everything(lambda x: checkpoint(block, x, groups, use_reentrant=False, **options), x, block)
    assert_same(recomputed, expected, rtol=0, atol=0)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=gpu)])
def test_mixed_precision_runs_attention_low_and_the_router_wide(layout, device):
    block, x, groups = block_and_inputs(layout, device=device)
    _, q, k, v = random_inputs(layout, device=device)
    with torch.autocast(device, torch.bfloat16):
        output, loss = block.attention(x, q, k, v.bfloat16(), groups)
        routing = block.attention.router(x, groups.videos)
    assert output.dtype == torch.bfloat16 and loss.dtype == torch.float32
    assert torch.equal(routing.probabilities, block.attention.router(x, groups.videos).probabilities)
    assert_same(gradients(output.float().sum(), [q])[0].shape, q.shape)


def fsdp_rank(rank, store, results):
    from torch.distributed.fsdp import fully_shard

    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    layout = moga.Layout.of(3, 4, 6, [1, 2])
    block, x, groups = block_and_inputs(layout)
    mesh = dist.init_device_mesh("cpu", (2,))
    fully_shard(block, mesh=mesh)
    output, loss = block(x, groups)
    (output.square().sum() + loss).backward()
    gathered = [parameter.grad.full_tensor() for parameter in block.parameters()]
    if rank == 0:
        torch.save([output.detach(), *gathered], results)
    dist.destroy_process_group()


def test_shards_with_fsdp(tmp_path):
    torch.multiprocessing.spawn(fsdp_rank, (str(tmp_path / "store"), str(tmp_path / "results")), nprocs=2)
    block, x, groups = block_and_inputs(moga.Layout.of(3, 4, 6, [1, 2]))
    output, loss = block(x, groups)
    expected = [output, *gradients(output.square().sum() + loss, list(block.parameters()))]
    assert_same(torch.load(tmp_path / "results"), expected)


@gpu
@pytest.mark.parametrize("size", SIZES)
def test_compiles_with_inductor_cuda(layout, size):
    block, x, groups = block_and_inputs(layout, device="cuda", size=size)
    block, x = block.bfloat16(), x.detach().bfloat16().requires_grad_()
    compiled = torch.compile(block, fullgraph=True)
    assert_same(everything(lambda x: compiled(x, groups), x, block)[:2], block(x, groups), rtol=0.02, atol=0.02)


@gpu
@pytest.mark.parametrize("size", SIZES)
def test_a_captured_graph_routes_anew_cuda(layout, size):
    block, x, groups = block_and_inputs(layout, device="cuda", size=size)
    block, x = block.bfloat16().requires_grad_(False), x.detach().bfloat16()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        block(x, groups)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = block(x, groups)
    x.copy_(torch.randn_like(x))
    graph.replay()
    assert_same(captured, block(x, groups), rtol=0, atol=0)
