"""The ComfyUI nodes as a library: equality with moga.diffusers, what is undone, and what is refused."""

import pytest
import torch

pytest.importorskip("diffusers")

import comfyui_models as tiny
from safetensors.torch import save_file

import moga
import moga.diffusers

pytestmark = pytest.mark.skipif(not tiny.COMFYUI, reason=tiny.SKIP)

SHOTS = (2, 1)  # latent frames
SIZES = (3, 4, 6)  # latent frames, rows and columns of the latent
SIGMAS = [1.0, 0.7, 0.3, 0.0]
CFG = 4.0


@pytest.fixture(scope="module")
def comfy(tmp_path_factory):
    """Modules of ComfyUI and of the node package."""
    package = tiny.use_comfyui()
    import comfy.sample
    import comfy.samplers
    import comfy.sd

    comfy.package, comfy.folder = package, tmp_path_factory.mktemp("comfyui")
    return comfy


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.inference_mode():
        yield


def text(tokens=512, seed=0, videos=1):
    return torch.randn(videos, tokens, tiny.TEXT, generator=torch.Generator().manual_seed(seed)) * 0.2


def noise(videos=1):
    return torch.randn(videos, tiny.CHANNELS, *SIZES, generator=torch.Generator().manual_seed(1))


def loaded(comfy, model):
    """The weights of a diffusers transformer as a MODEL of ComfyUI."""
    path = comfy.folder / "model.safetensors"
    save_file(tiny.wan_weights(model), path)
    return comfy.sd.load_diffusion_model(str(path))


def adapter(comfy, model, **more):
    return moga.load_adapter(tiny.save_adapter(comfy.folder / "adapter.safetensors", model, **more))


def patched(comfy, model, config=tiny.CONFIG, shots=SHOTS, file=None, **more):
    file = file or moga.Adapter(config)
    return comfy.package.nodes.patch.apply(model, config, file, shots, **more)


def prompts(comfy, *tensors):
    """The conditioning of one prompt per shot."""
    return comfy.package.nodes.captions.shot_conditioning([[[tensor, {}]] for tensor in tensors])


def sampled(comfy, model, positive, negative=None, cfg=CFG, sampler="euler", sigmas=SIGMAS, videos=1):
    """The latent after sampling, in the model's own normalisation."""
    negative = negative or [[text(seed=9), {}]]
    latent = torch.zeros_like(noise(videos))
    names = (cfg, comfy.samplers.sampler_object(sampler), torch.tensor(sigmas), positive, negative, latent)
    result = comfy.sample.sample_custom(model, noise(videos), *names, disable_pbar=True, seed=0)
    return model.model.process_latent_in(result)


def sampled_by_diffusers(model, shots, texts, cfg=CFG, videos=1):
    """The same by the transformer of diffusers with MoGA, and Euler's method."""
    negative = torch.cat([text(seed=9)] * len(shots), dim=1)
    x = noise(videos)
    moga.diffusers.set_shots(model, shots)

    def velocity(x, sigma, embeds):
        return model(x, torch.full((videos,), 1000 * sigma), embeds.expand(videos, -1, -1), return_dict=False)[0]

    for sigma, following in zip(SIGMAS, SIGMAS[1:]):
        guided = velocity(x, sigma, torch.cat(texts, dim=1))
        if cfg != 1:
            against = velocity(x, sigma, negative)
            guided = against + cfg * (guided - against)
        x = x + (following - sigma) * guided
    return x


def with_moga(model, config=tiny.CONFIG):
    """MoGA in the diffusers transformer, with the routers of an adapter."""
    routers = {}
    for name, tensor in tiny.router_tensors(groups=config.groups).items():
        block, kind = name.split(".")[2], name.split(".")[-1]
        routers.setdefault(int(block), {})[kind] = tensor
    return moga.diffusers.apply(model, moga.Adapter(config, routers))


@pytest.mark.parametrize("combine", ["mean", "lse"])
def test_equals_diffusers(comfy, combine):
    config = moga.Config(groups=3, combine=combine, windows=moga.Windows(2, 2, 2, 1))
    model, texts = tiny.transformer(), [text(seed=1), text(seed=2)]
    own = patched(comfy, loaded(comfy, model), config, file=adapter(comfy, model))
    expected = sampled_by_diffusers(with_moga(model, config), SHOTS, texts)
    torch.testing.assert_close(sampled(comfy, own, prompts(comfy, *texts)), expected, rtol=1e-5, atol=1e-5)


def test_equals_diffusers_without_guidance_and_for_several_videos(comfy):
    model, texts = tiny.transformer(), [text(seed=1), text(seed=2)]
    own = patched(comfy, loaded(comfy, model), file=adapter(comfy, model))
    theirs = with_moga(model)
    for cfg, videos in ((1.0, 1), (CFG, 2)):
        expected = sampled_by_diffusers(theirs, SHOTS, texts, cfg, videos)
        found = sampled(comfy, own, prompts(comfy, *texts), cfg=cfg, videos=videos)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_image_to_video_equals_diffusers(comfy):
    model, texts = tiny.transformer(image_to_video=True), [text(seed=1), text(seed=2)]
    generator = torch.Generator().manual_seed(4)
    image, clip = torch.randn(1, 20, *SIZES, generator=generator), torch.randn(1, 257, 1280, generator=generator)
    own = patched(comfy, loaded(comfy, model), file=adapter(comfy, model))
    mask, latent = 1 - image[:, :4], own.model.process_latent_out(image[:, 4:])  # ComfyUI turns both around
    given = {"concat_mask": mask, "concat_latent_image": latent, "clip_vision_output": _Vision(clip)}
    positive = [[tokens, {**options, **given}] for tokens, options in prompts(comfy, *texts)]
    found = sampled(comfy, own, positive, [[text(seed=9), given]], cfg=1.0, sigmas=[1.0, 0.0])
    moga.diffusers.set_shots(with_moga(model), SHOTS)
    inputs = (torch.cat([noise(), image], dim=1), torch.tensor([1000.0]), torch.cat(texts, dim=1), clip)
    expected = noise() - model(*inputs, return_dict=False)[0]
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


class _Vision:
    def __init__(self, states):
        self.penultimate_hidden_states = states


@pytest.mark.parametrize("sampler", ["euler", "uni_pc", "dpmpp_2m", "heun", "euler_ancestral"])
def test_one_group_is_the_model_without_moga(comfy, sampler):
    plain = loaded(comfy, tiny.transformer())
    expected = sampled(comfy, plain, [[text(), {}]], sampler=sampler)
    config = moga.Config(groups=1, window=False, frame=False)
    own = patched(comfy, plain, config, ())
    assert "moga" not in plain.model_options["transformer_options"]
    assert torch.equal(sampled(comfy, own, [[text(), {}]], sampler=sampler), expected)


def test_a_clone_without_moga_gets_its_own_attention_back(comfy):
    plain = loaded(comfy, tiny.transformer())
    own = patched(comfy, plain, moga.Config(routed=False))
    expected = sampled(comfy, plain, [[text(), {}]])
    changed = sampled(comfy, own, [[text(), {}]])
    assert not torch.allclose(changed, expected)
    assert torch.equal(sampled(comfy, plain, [[text(), {}]]), expected)
    assert plain.model.diffusion_model.blocks[0].self_attn.forward.__name__ == "forward"
    assert torch.equal(sampled(comfy, own, [[text(), {}]]), changed)


def test_a_caption_reaches_its_own_shot_only(comfy):
    config = moga.Config(routed=False, window=False)  # frames only: nothing else connects the shots
    own = patched(comfy, loaded(comfy, tiny.transformer()), config)
    base = sampled(comfy, own, prompts(comfy, text(seed=1), text(seed=2)))
    other = sampled(comfy, own, prompts(comfy, text(seed=1), text(640, seed=3)))  # longer texts may differ in length
    changed = (base - other).abs().amax(dim=(0, 1, 3, 4))
    assert changed[:2].max() < 1e-6 and changed[2] > 1e-3


def test_full_steps_run_with_full_attention(comfy):
    plain = loaded(comfy, tiny.transformer())
    config = moga.Config(routed=False)
    full = sampled(comfy, plain, [[text(), {}]])
    found = [sampled(comfy, patched(comfy, plain, config, full_steps=steps), [[text(), {}]]) for steps in (0, 1, 3, 9)]
    assert torch.equal(found[2], full) and torch.equal(found[3], full)
    assert not torch.allclose(found[0], found[1]) and not torch.allclose(found[1], full)


def test_full_layers_keep_full_attention(comfy):
    plain = loaded(comfy, tiny.transformer())
    full = sampled(comfy, plain, [[text(), {}]])
    found = [
        sampled(comfy, patched(comfy, plain, moga.Config(routed=False, full_layers=layers)), [[text(), {}]])
        for layers in ((0, 1), (0,))
    ]
    assert torch.equal(found[0], full) and not torch.allclose(found[1], full)


@pytest.mark.parametrize("names", ["comfyui", "diffusers"])
def test_the_lora_of_an_adapter_is_added(comfy, names):
    model, texts = tiny.transformer(), [text(seed=1), text(seed=2)]
    down, up = torch.randn(2, tiny.WIDTH) * 0.1, torch.randn(tiny.WIDTH, 2) * 0.1
    if names == "comfyui":
        layer = "diffusion_model.blocks.1.self_attn.q"
        lora = {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up, f"{layer}.alpha": torch.tensor(4.0)}
    else:
        layer = "transformer.blocks.1.attn1.to_q"
        lora = {f"{layer}.lora_A.weight": down, f"{layer}.lora_B.weight": up * 2}
    file = adapter(comfy, model, tensors=tiny.router_tensors() | lora)
    own = patched(comfy, loaded(comfy, model), file=file, lora_strength=0.5)
    found = sampled(comfy, own, prompts(comfy, *texts))
    model.blocks[1].attn1.to_q.weight.data += 0.5 * 2 * up @ down
    expected = sampled_by_diffusers(with_moga(model), SHOTS, texts)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_weights_that_are_partly_offloaded_serve(comfy):
    model, positive = tiny.transformer(), prompts(comfy, text(seed=1), text(seed=2))
    own = patched(comfy, loaded(comfy, model), file=adapter(comfy, model))
    expected = sampled(comfy, own, positive)
    comfy.model_management.unload_all_models()
    load = own.load
    own.load = lambda device, lowvram_model_memory=0, **more: load(
        device, **more | {"lowvram_model_memory": 1, "full_load": False}
    )
    found = sampled(comfy, own, positive)
    assert own.model.model_lowvram
    torch.testing.assert_close(found, expected)


def test_an_interruption_ends_the_step_under_way(comfy):
    own = patched(comfy, loaded(comfy, tiny.transformer()), moga.Config(routed=False))
    blocks = []

    def interrupt(values, block):
        blocks.append(values["transformer_options"]["block_index"])
        comfy.model_management.interrupt_current_processing()
        return block["original_block"](values)

    for number in range(tiny.BLOCKS):
        own.set_model_patch_replace(interrupt, "dit", "double_block", number)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sampled(comfy, own, [[text(), {}]])
    assert blocks == [0]


def test_an_attention_override_of_another_node_keeps_the_rest(comfy):
    model, used = tiny.transformer(image_to_video=True), []
    own = patched(comfy, loaded(comfy, model), moga.Config(routed=False, full_layers=(1,)))

    def theirs(attention, q, k, *arguments, **options):
        used.append(k.shape[1])
        return attention(q, k, *arguments, **options)

    own.model_options["transformer_options"]["optimized_attention_override"] = theirs
    given = {"clip_vision_output": _Vision(torch.zeros(1, 257, 1280))}
    positive = [[tokens, {**options, **given}] for tokens, options in prompts(comfy, text(), text())]
    sampled(comfy, own, positive, cfg=1.0, sigmas=[1.0, 0.0])
    assert used == [257, 18, 257]  # the images of both blocks, and full attention of block 1


def refusal(comfy, call):
    with pytest.raises((ValueError, TypeError)) as error:
        call()
    message = str(error.value)
    assert message.startswith("moga: ") and "\n" not in message
    return message


def test_an_adapter_for_another_model_is_refused(comfy):
    model = tiny.transformer()
    plain, file = loaded(comfy, model), adapter(comfy, model)
    other = moga.Adapter(
        file.config, file.routers, base=file.base | {"blocks": 30, "width": 1536}, source="a.safetensors"
    )
    assert refusal(comfy, lambda: patched(comfy, plain, file=other)) == (
        "moga: a.safetensors: an adapter for WanTransformer3DModel of 30 blocks of width 1536, "
        "the model is WanTransformer3DModel of 2 blocks of width 256"
    )
    other = moga.Adapter(file.config, file.routers, base=file.base | {"hash": "0"})
    assert refusal(comfy, lambda: patched(comfy, plain, file=other)).endswith("of width 256 with other tensors")
    lora = {"diffusion_model.blocks.7.self_attn.q.lora_down.weight": torch.ones(2, 4)}
    file = adapter(comfy, model, tensors=tiny.router_tensors() | lora)
    assert "diffusion_model.blocks.7.self_attn.q" in refusal(comfy, lambda: patched(comfy, plain, file=file))
    wrong = moga.Config(groups=4)
    assert "groups = 4 and width 256 need [4, 256]" in refusal(
        comfy, lambda: patched(comfy, plain, wrong, file=adapter(comfy, model))
    )


def test_what_cannot_work_is_refused_when_the_model_is_patched(comfy):
    plain = loaded(comfy, tiny.transformer())
    frames = moga.Config(routed=False)
    assert "groups = 5 needs routers" in refusal(comfy, lambda: patched(comfy, plain, moga.Config()))
    twice = lambda: patched(comfy, patched(comfy, plain, frames), frames)  # noqa: E731
    assert "has MoGA already" in refusal(comfy, twice)
    assert "the blocks are 0 to 1" in refusal(
        comfy, lambda: patched(comfy, plain, moga.Config(routed=False, full_layers=(2,)))
    )
    assert "no adapter has no LoRA" in refusal(comfy, lambda: patched(comfy, plain, frames, lora_strength=0.5))
    plain.add_object_patch("diffusion_model", torch.nn.Linear(1, 1))
    assert "the model is a Linear, expected a WanModel" in refusal(comfy, lambda: patched(comfy, plain, frames))


def test_what_cannot_work_is_refused_when_the_model_samples(comfy):
    plain = loaded(comfy, tiny.transformer())
    one, two = moga.Config(routed=False), prompts(comfy, text(), text())

    def refused(model, positive):
        return refusal(comfy, lambda: sampled(comfy, model, positive))

    assert "shots have 5 latent frames in all, the video has 3" in refused(
        patched(comfy, plain, one, (2, 3)), [[text(), {}]]
    )
    assert "captions of 2 shots, the model has 1" in refused(patched(comfy, plain, one, ()), two)
    assert "the model that samples has no MoGA" in refused(plain, two)
    own = patched(comfy, plain, one)
    longer = [[torch.cat([two[0][0], text(8)], dim=1), two[0][1]]]
    assert "1024 text tokens, the conditioning has 1032" in refused(own, longer)
    more = [[text(), {"time_dim_concat": noise()}]]
    assert "has time_dim_concat, which adds tokens" in refused(own, more)


def test_conditionings_that_do_not_fit_are_refused(comfy):
    join = comfy.package.nodes.captions.shot_conditioning
    entry = [[text(8), {}]]
    assert "shot 1 has 2 entries" in refusal(comfy, lambda: join([entry, entry * 2]))
    assert "shot 1 has start_percent" in refusal(comfy, lambda: join([entry, [[text(8), {"start_percent": 0.5}]]]))
    assert "the text of shot 1 has shape [2, 8, 4096]" in refusal(
        comfy, lambda: join([entry, [[text(8, videos=2), {}]]])
    )
    assert join([entry]) == entry  # one shot: an ordinary conditioning


def test_nodes_read_shots_and_scripts(comfy):
    nodes = comfy.package.nodes
    assert nodes.Shots.execute("32, 32\n32 32").result == ((9, 8, 8, 8), 129)
    assert "'9, x': expected numbers of frames" in refusal(comfy, lambda: nodes.Shots.execute("9, x"))
    assert "expected numbers of frames" in refusal(comfy, lambda: nodes.Shots.execute(""))
    assert nodes.captions.paragraphs("\n a lake\nby day \n\n \nat night\n") == ["a lake by day", "at night"]
    assert "1 prompts for 2 shots" in refusal(comfy, lambda: nodes.EncodeShots.execute(None, (2, 1), "a lake"))
    assert "1 prompts for 2 shots" in refusal(
        comfy, lambda: nodes.ShotPrompts.execute((2, 1), {"shot0": [[text(8), {}]]})
    )
    given = {f"shot{n}": [[text(8, seed=n), {}]] for n in (10, 2, 0)}
    (joined,) = nodes.ShotPrompts.execute((1, 1, 1), given).result
    assert torch.equal(joined[0][0], torch.cat([text(8, seed=n) for n in (0, 2, 10)], dim=1))
    settings = nodes.Settings.execute(0, "lse", "none", True, 3, 4, 5, 1, False, "0, 29").result[0]
    windows = moga.Windows(3, 4, 5, 1)
    expected = dict(
        routed=False, frame=False, groups=1, combine="lse", gate="none", windows=windows, full_layers=(0, 29)
    )
    assert settings == moga.Config(**expected)
    assert "connect an adapter" in refusal(comfy, lambda: nodes.Attention.execute(None))
