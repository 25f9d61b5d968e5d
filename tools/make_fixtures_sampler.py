"""Writes tests/sampler/fixtures/sampler.safetensors: what diffusers' flow schedulers do with given velocities.

For each solver, step count and shift: the sigmas, the timesteps that the model is given, the velocities (random, one a step) and the sample before the first
and after every step. Needs torch, diffusers, safetensors:

    python tools/make_fixtures_sampler.py
"""

from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from safetensors.torch import save_file

CASES = [(1, 1.0), (2, 5.0), (7, 3.0), (20, 5.0)]
SHAPE = (1, 2, 3, 4)


def scheduler(solver: str, shift: float):
    if solver == "euler":
        return FlowMatchEulerDiscreteScheduler(shift=shift)
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, solver_order=2, solver_type="bh2"
    )


def main():
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for solver in ("euler", "unipc"):
        for steps, shift in CASES:
            flow = scheduler(solver, shift)
            flow.set_timesteps(steps)
            x = torch.randn(SHAPE, generator=generator)
            velocities = torch.randn((steps, *SHAPE), generator=generator)
            samples = [x]
            for velocity, t in zip(velocities, flow.timesteps):
                samples.append(flow.step(velocity, t, samples[-1], return_dict=False)[0])
            name = f"{solver}.{steps}.{shift:g}"
            tensors[f"{name}.sigmas"] = flow.sigmas.clone()
            tensors[f"{name}.timesteps"] = flow.timesteps.clone()
            tensors[f"{name}.velocities"] = velocities
            tensors[f"{name}.samples"] = torch.stack(samples)
    path = Path(__file__).resolve().parent.parent / "tests/sampler/fixtures/sampler.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
