"""moga.diffusers on the tiny random Wan pipeline in tests/pipeline/fixtures, and its equality with `moga generate`."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from diffusers import WanPipeline
from safetensors.torch import load_file, save_file

import moga
import moga.diffusers

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "tests/pipeline/fixtures/wan"
CONFIG = moga.Config(groups=3, windows=moga.Windows(2, 2, 2, 1))
PROMPTS = ["Ada walks in the park.", "night on the beach, a red hat"]
SHOTS = [5, 4]  # pixel frames: 2 + 1 latent frames
SIZE = dict(width=48, height=32)


@pytest.fixture
def pipeline():
    torch.manual_seed(0)
    pipe = WanPipeline.from_pretrained(FIXTURE, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def with_moga(pipeline, config=CONFIG):
    moga.diffusers.apply(pipeline.transformer, config)
    for block in pipeline.transformer.blocks:
        if hasattr(block.attn1, "router"):
            torch.nn.init.normal_(block.attn1.router.weight, 0, 0.5)
            torch.nn.init.normal_(block.attn1.router.bias, 0, 0.5)
    return moga.diffusers.ShotPipeline(pipeline)


def noise(latent_frames):
    return torch.randn(1, 4, latent_frames, 4, 6, generator=torch.Generator().manual_seed(1))


def generate(pipeline, prompts=PROMPTS, shots=SHOTS, steps=3, **more):
    frames = sum(moga.diffusers.latent_shot_frames(shots))
    more = (
        SIZE | dict(num_inference_steps=steps, guidance_scale=4.0, output_type="latent", latents=noise(frames)) | more
    )
    return pipeline(prompts, shots, negative_prompt="blurred", **more).frames


def test_full_attention_is_diffusers_own(pipeline):
    ask = SIZE | dict(num_frames=9, num_inference_steps=2, output_type="latent", latents=noise(3))
    expected = pipeline("Ada walks", negative_prompt="night", **ask).frames
    moga.diffusers.apply(pipeline.transformer, moga.Config(kind="full"))
    torch.testing.assert_close(pipeline("Ada walks", negative_prompt="night", **ask).frames, expected)
    moga.diffusers.remove(pipeline.transformer)
    assert "moga" not in pipeline.transformer.config
    assert torch.equal(pipeline("Ada walks", negative_prompt="night", **ask).frames, expected)


def test_every_setting_reaches_the_video(pipeline):
    shots = with_moga(pipeline)
    base = generate(shots)
    assert not torch.allclose(generate(shots, prompts=PROMPTS[::-1]), base)
    assert not torch.allclose(generate(shots, shots=[1, 8]), base)
    assert not torch.allclose(generate(shots, full_steps=1), base)
    assert not torch.allclose(generate(shots, global_prompt="a film"), base)
    assert torch.equal(generate(shots), base)


def test_a_caption_reaches_its_own_shot_only(pipeline):
    config = moga.Config(routed=False, window=False)  # frames only: nothing else connects the shots
    shots = with_moga(pipeline, config)
    base, other = generate(shots, steps=1), generate(shots, prompts=[PROMPTS[0], "jumps in a street"], steps=1)
    changed = (base - other).abs().amax(dim=(0, 1, 3, 4))
    assert changed[:2].max() < 1e-6 and changed[2] > 1e-4


def test_routers_survive_files_casts_and_training(pipeline, tmp_path):
    with_moga(pipeline)
    moga.diffusers.save(pipeline.transformer, tmp_path)
    saved = load_file(tmp_path / "diffusion_pytorch_model.safetensors")
    assert sorted(saved) == [f"blocks.{n}.attn1.router.{name}" for n in (0, 1) for name in ("bias", "weight")]
    transformer = moga.diffusers.apply(WanPipeline.from_pretrained(FIXTURE).transformer, tmp_path).bfloat16()
    assert torch.equal(transformer.blocks[1].attn1.router.weight, saved["blocks.1.attn1.router.weight"])
    transformer.float().train()
    output = transformer(noise(3), torch.tensor([500]), torch.randn(1, 512, 16), return_dict=False)[0]
    (output.square().mean() + moga.diffusers.balance_loss(transformer)).backward()
    assert transformer.blocks[0].attn1.router.weight.grad.abs().max() > 0


def test_an_adapter_of_moga_calibrate_is_read(pipeline, tmp_path):
    routers = {f"transformer.blocks.{n}.attn1.router.weight": torch.randn(3, 24) for n in (0, 1)}
    routers |= {f"transformer.blocks.{n}.attn1.router.bias": torch.randn(3) for n in (0, 1)}
    metadata = {"moga.attention": json.dumps(CONFIG.to_dict()), "moga.base": "{}"}
    save_file(routers, tmp_path / "adapter.safetensors", metadata)
    moga.diffusers.apply(pipeline.transformer, tmp_path / "adapter.safetensors")
    own = pipeline.transformer.blocks[1].attn1.router.weight
    assert torch.equal(own, routers["transformer.blocks.1.attn1.router.weight"])
    save_file(routers | {"transformer.blocks.0.attn1.to_q.lora_A.weight": own.detach()}, tmp_path / "lora", metadata)
    with pytest.raises(ValueError, match="1 tensors besides routers, the first transformer.blocks.0.attn1.to_q.lora_A"):
        moga.diffusers.load(tmp_path / "lora")


def test_offloading_and_lora_leave_the_video_alone(pipeline):
    accelerate, peft = pytest.importorskip("accelerate"), pytest.importorskip("peft")
    shots = with_moga(pipeline)
    base = generate(shots)
    pipeline.transformer.add_adapter(peft.LoraConfig(r=2, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    torch.testing.assert_close(generate(shots), base)  # a new adapter adds zero
    for name, parameter in pipeline.transformer.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, 0, 0.5)
    with_lora = generate(shots)
    assert not torch.allclose(with_lora, base)
    accelerate.cpu_offload(pipeline.transformer, execution_device=torch.device("cpu"))  # sequential: module by module
    assert pipeline.transformer.blocks[0].attn1.router.weight.is_meta
    torch.testing.assert_close(generate(shots), with_lora)


def test_refusals_name_what_is_wrong(pipeline, tmp_path):
    with pytest.raises(FileNotFoundError, match="no config.json"):
        moga.diffusers.apply(pipeline.transformer, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"moga": {"groups": 3}}))
    with pytest.raises(ValueError, match="no router for block 0"):
        moga.diffusers.apply(pipeline.transformer, tmp_path)
    shots = with_moga(pipeline)
    with pytest.raises(ValueError, match="2 prompts for 1 shots"):
        shots(PROMPTS, [9])
    with pytest.raises(ValueError, match="text tokens, the model reads 8"):
        generate(shots, max_sequence_length=8)
    pipeline.transformer._parallel_config = object()
    with pytest.raises(RuntimeError, match="context parallelism"):
        generate(shots)


def test_shots_in_pixel_frames_are_cut_as_by_moga_generate():
    assert moga.diffusers.latent_shot_frames([32, 32, 32, 32]) == [9, 8, 8, 8]
    assert moga.diffusers.latent_shot_frames([1, 1, 1]) == [1, 1, 1]


def program():
    named = os.environ.get("MOGA_PROGRAM")
    built = [pathlib.Path(named)] if named else sorted(ROOT.glob("build/*/bin/moga"))
    return next((path for path in built if path.is_file()), None)


SCRIPT = """size = [48, 32]
negative_prompt = "blurred"
[[shot]]
caption = "{}"
frames = 5
[[shot]]
caption = "{}"
frames = 4
"""


@pytest.mark.skipif(program() is None, reason="the program moga is not built (MOGA_PROGRAM names it)")
@pytest.mark.parametrize("combine", ["mean", "lse"])
def test_equals_moga_generate(pipeline, tmp_path, combine):
    config = moga.Config(groups=3, combine=combine, windows=moga.Windows(2, 2, 2, 1))
    shots = with_moga(pipeline, config)
    folder = tmp_path / "model"
    shutil.copytree(
        FIXTURE, folder, ignore=lambda path, names: names if pathlib.Path(path).name == "transformer" else []
    )
    pipeline.transformer.save_pretrained(folder / "transformer")
    (tmp_path / "script.toml").write_text(SCRIPT.format(*PROMPTS))
    save_file({"latents": noise(3)[0].contiguous()}, tmp_path / "noise.safetensors")
    command = [program(), "generate", tmp_path / "script.toml", "--model", folder, "--out", tmp_path / "video.y4m"]
    command += ["--noise", tmp_path / "noise.safetensors", "--save-latents", tmp_path / "latents.safetensors"]
    command += ["--steps", "3", "--guidance", "4", "--device", "cpu", "--quiet"]
    subprocess.run(command, check=True)
    theirs = load_file(tmp_path / "latents.safetensors")["latents"]
    torch.testing.assert_close(generate(shots)[0], theirs, rtol=1e-5, atol=1e-5)
