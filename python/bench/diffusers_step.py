"""Wan2.1-1.3B in diffusers on a GPU, with its own attention and with MoGA: time of one evaluation of the transformer, and
the error in bfloat16. Random weights.

    python bench/diffusers_step.py --frames 81 477 --height 480 --width 832

A video is cut into shots of about --shot pixel frames, each with a caption of 512 text tokens; diffusers' own attention
has one caption for all. Errors are relative to float32, on a video of 17 frames of 160x128; the exit status is 1 if the
error of MoGA is more than twice that of plain PyTorch operations in bfloat16.
"""

import argparse
import sys

import torch
from diffusers import WanTransformer3DModel
from timing import milliseconds

import moga
import moga.diffusers

TEXT_TOKENS, TEXT_WIDTH = 512, 4096


def wan(layers, heads=12, dtype=torch.bfloat16, device="cuda"):
    with torch.device(device):
        model = WanTransformer3DModel(num_attention_heads=heads, ffn_dim=8960, num_layers=layers)
    return model.requires_grad_(False).to(dtype)


def inputs(frames, height, width, captions, dtype=torch.bfloat16, device="cuda"):
    """Latents, timestep and text of one video."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 16, (frames - 1) // 4 + 1, height // 8, width // 8, generator=generator)
    text = torch.randn(1, captions * TEXT_TOKENS, TEXT_WIDTH, generator=generator)
    return latents.to(device, dtype), torch.tensor([500.0], device=device), text.to(device, dtype)


def evaluate(model, arguments):
    with torch.no_grad():
        return model(*arguments, return_dict=False)[0]


def shots_of(frames, length):
    """Latent frames of shots of about `length` pixel frames."""
    count = max(1, round(frames / length))
    return moga.latent_shot_frames([frames * (n + 1) // count - frames * n // count for n in range(count)])


def report_times(options, frames):
    shots = shots_of(frames, options.shot)
    model = wan(options.layers)
    size = (frames, options.height, options.width)
    print(f"{frames} frames of {options.width}x{options.height}, {len(shots)} shots of {shots} latent frames")
    own = inputs(*size, 1)
    own_time = milliseconds(lambda: evaluate(model, own), options.repeats, 1)
    print(f"  diffusers  {own_time:10.1f} ms", flush=True)
    moga.diffusers.apply(model, moga.Config(groups=options.groups))
    moga.diffusers.set_shots(model, shots)
    ours = inputs(*size, len(shots))
    our_time = milliseconds(lambda: evaluate(model, ours), options.repeats, 1)
    print(f"  with MoGA  {our_time:10.1f} ms, {own_time / our_time:.2f} times as fast", flush=True)


def settings(combine, backend):
    return moga.Config(kind="moga" if combine else "full", groups=3, combine=combine or "mean", backend=backend)


def errors_in_bfloat16(combine, layers=8, device="cuda"):
    """Relative errors of MoGA and of plain operations; combine None: full attention, where the plain one is diffusers'."""
    torch.manual_seed(0)
    model = wan(layers, dtype=torch.float32, device=device)
    for block in model.blocks:  # scores with a deviation of 4: attention that is far from even
        block.attn1.norm_q.weight.fill_(4.0)
    apply = moga.diffusers.apply
    shots = shots_of(17, 9)
    apply(model, settings(combine, "reference"))
    routers = {name: value.clone() for name, value in model.state_dict().items() if ".router." in name}

    def outputs(dtype, backend):
        moga.diffusers.remove(model).to(dtype)
        if backend:
            apply(model, settings(combine, backend)).load_state_dict(routers, strict=False)
            moga.diffusers.set_shots(model, shots)
        captions = len(shots) if combine else 1
        if backend and not combine:
            moga.diffusers.set_shots(model)
        return evaluate(model, inputs(17, 128, 160, captions, dtype, device)).float()

    plain = "reference" if combine else None
    expected = outputs(torch.float32, plain)
    return [((outputs(torch.bfloat16, b) - expected).norm() / expected.norm()).item() for b in ("auto", plain)]


def report_errors():
    """Whether MoGA is within twice the error of plain operations."""
    print("error in bfloat16, relative to float32")
    within = True
    for combine in (None, "mean", "lse"):
        ours, plain = errors_in_bfloat16(combine)
        print(f"  {combine or 'full':<5} MoGA {ours:.5f}, plain operations {plain:.5f}: {ours / plain:.2f} times", flush=True)
        within = within and ours <= 2 * plain
    return within


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[81, 477], help="pixel frames, one or more numbers")
    for name, default in (
        ("height", 480),
        ("width", 832),
        ("shot", 80),
        ("groups", 5),
        ("layers", 30),
        ("repeats", 3),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, kernels {moga.KERNELS}")
    for frames in options.frames:
        report_times(options, frames)
        torch.cuda.empty_cache()
    sys.exit(0 if report_errors() else 1)


if __name__ == "__main__":
    main()
