"""What the tests share: a small layout and random inputs. Tests named *_cuda are skipped without a GPU."""

import pytest
import torch

import moga

torch.set_num_threads(1)

HEADS, SIZE, WIDTH = 2, 16, 32

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def layout():
    """Two videos of unequal size; the first has two shots."""
    return moga.Layout((moga.Video(5, 4, 6, (2, 3)), moga.Video(3, 2, 4)))


def random_inputs(layout, dtype=torch.float32, device="cpu", requires_grad=True, size=SIZE):
    """x [N, C] and q, k, v [N, H, D]."""
    generator = torch.Generator().manual_seed(3)
    shapes = [(layout.tokens, WIDTH)] + [(layout.tokens, HEADS, size)] * 3
    tensors = [torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype) for shape in shapes]
    return [tensor.requires_grad_(requires_grad) for tensor in tensors]


def branches(layout, config=None, device="cpu"):
    """Groupings of windows, of frames and of a random routing to 3 groups."""
    groups = moga.static_groups(layout, config or moga.Config(groups=3), device)
    number = torch.randint(3, (layout.tokens,), generator=torch.Generator().manual_seed(5)).to(device)
    return [groups.window, groups.frame, moga.routed_groups(number, 3, layout.numbers())]


def gradients(loss, tensors):
    return torch.autograd.grad(loss, tensors, allow_unused=True)
