"""Writes tests/sampler/fixtures/sampler.safetensors: the steps of diffusers' flow schedulers for given velocities.

For each solver, step count and shift: the sigmas, the timesteps passed to the model, the velocities (random, one per
step), and the sample before the first and after every step. Under guided.<solver>: conditional and unconditional
velocities of each step, diffusers' classifier-free guidance of the two, and the resulting samples.

Made with torch==2.11.0 diffusers==0.42.1 safetensors==0.8.0:
    python tools/make_fixtures_sampler.py
"""

from pathlib import Path

import torch
from diffusers import ClassifierFreeGuidance, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from safetensors.torch import save_file

CASES = [(1, 1.0), (2, 5.0), (7, 3.0), (20, 5.0)]
SHAPE = (1, 2, 3, 4)
GUIDED = dict(steps=6, shift=3.0, scale=4.5)


def scheduler(solver: str, shift: float):
    if solver == "euler":
        return FlowMatchEulerDiscreteScheduler(shift=shift)
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, solver_order=2, solver_type="bh2"
    )


def take_steps(flow, x: torch.Tensor, velocities: torch.Tensor) -> torch.Tensor:
    samples = [x]
    for velocity, t in zip(velocities, flow.timesteps):
        samples.append(flow.step(velocity, t, samples[-1], return_dict=False)[0])
    return torch.stack(samples)


def guided_steps(solver: str, generator: torch.Generator) -> dict[str, torch.Tensor]:
    steps = GUIDED["steps"]
    flow = scheduler(solver, GUIDED["shift"])
    flow.set_timesteps(steps)
    x = torch.randn(SHAPE, generator=generator)
    conditional, unconditional = torch.randn((2, steps, *SHAPE), generator=generator)
    guider = ClassifierFreeGuidance(guidance_scale=GUIDED["scale"])
    guided = []
    for i, t in enumerate(flow.timesteps):
        guider.set_state(step=i, num_inference_steps=steps, timestep=t)
        guided.append(guider.forward(conditional[i], unconditional[i]).pred)
    guided = torch.stack(guided)
    tensors = {"conditional": conditional, "unconditional": unconditional, "velocities": guided,
               "samples": take_steps(flow, x, guided)}
    return {f"guided.{solver}.{name}": tensor.clone() for name, tensor in tensors.items()}


def main():
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for solver in ("euler", "unipc"):
        for steps, shift in CASES:
            flow = scheduler(solver, shift)
            flow.set_timesteps(steps)
            x = torch.randn(SHAPE, generator=generator)
            velocities = torch.randn((steps, *SHAPE), generator=generator)
            samples = take_steps(flow, x, velocities)
            name = f"{solver}.{steps}.{shift:g}"
            tensors[f"{name}.sigmas"] = flow.sigmas.clone()
            tensors[f"{name}.timesteps"] = flow.timesteps.clone()
            tensors[f"{name}.velocities"] = velocities
            tensors[f"{name}.samples"] = samples
    for solver in ("euler", "unipc"):
        tensors |= guided_steps(solver, generator)
    path = Path(__file__).resolve().parent.parent / "tests/sampler/fixtures/sampler.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
