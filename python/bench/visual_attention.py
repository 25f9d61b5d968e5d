"""Time of VisualAttention on a GPU: forward, forward and backward, and the forward replayed from a CUDA graph.

    python bench/visual_attention.py --frames 120 --rows 30 --columns 52

The numbers compare with `moga bench attention` of the same layout.
"""

import argparse

import torch
from timing import milliseconds

import moga


def captured(function):
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (
        ("frames", 120),
        ("rows", 30),
        ("columns", 52),
        ("groups", 5),
        ("heads", 12),
        ("size", 128),
        ("repeats", 10),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--kind", choices=("moga", "full"), default="moga")
    options = parser.parse_args()
    layout = moga.Layout.of(options.frames, options.rows, options.columns)
    width = options.heads * options.size
    attention = moga.VisualAttention(width, moga.Config(kind=options.kind, groups=options.groups)).cuda()
    groups = attention.groups(layout, "cuda")
    x = torch.randn(layout.tokens, width, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    shape = (layout.tokens, options.heads, options.size)
    q, k, v = (torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
    grad = torch.randn(shape, device="cuda", dtype=torch.bfloat16)

    def forward():
        with torch.no_grad():
            attention(x, q, k, v, groups)

    def both():
        attention(x, q, k, v, groups).output.backward(grad)
        x.grad = q.grad = k.grad = v.grad = None

    print(f"{torch.cuda.get_device_name()}, {layout.tokens} tokens, backend {moga.default_backend(q)}")
    print(f"forward            {milliseconds(forward, options.repeats):8.2f} ms")
    print(f"forward, captured  {milliseconds(captured(forward), options.repeats):8.2f} ms")
    print(f"forward + backward {milliseconds(both, options.repeats):8.2f} ms")


if __name__ == "__main__":
    main()
