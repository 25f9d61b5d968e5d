"""Times of work on a GPU. Needs torch alone."""

import torch


def milliseconds(function, repeats, warmups=3):
    """Median over `repeats` runs, each timed by events on the GPU."""
    for _ in range(warmups):
        function()
    times = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        function()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return sorted(times)[len(times) // 2]
