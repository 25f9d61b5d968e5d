"""Formats and models that `moga` does not run, each by its name: quantized files, relatives of Wan, other models."""

from damage import case, config, surplus
from eight_bits import scaled
from families import DIFFUSERS
from lora import PAIR, pair_of
from safetensors_files import entry, write_weights

GGUF = b"GGUF\x03\0\0\0" + bytes(400)
INDEX, TRANSFORMER = "model_index.json", "transformer/config.json"


def with_tensors(**shapes):
    return surplus("transformer", **shapes)


def instead(names):
    def change(tensors):
        tensors.clear()
        tensors.update({name: entry([8, 8]) for name in names})

    return lambda model: model.tensors("transformer", change)


def other_file(name, content):
    """In place of the transformer's safetensors."""

    def change(model):
        model.file("transformer").unlink()
        (model.folder / "transformer" / name).write_bytes(content)

    return change


def of_class(name, path=TRANSFORMER):
    return config(path, _class_name=name)


def prefixed(prefix):
    def change(tensors):
        for name in list(tensors):
            tensors[prefix + name] = tensors.pop(name)

    return lambda model: model.tensors("transformer", change)


def original(model):
    (model.folder / "Wan2.1_VAE.pth").write_bytes(b"PK\x03\x04")


def no_sentencepiece(model):
    (model.folder / "tokenizer/spiece.model").unlink()
    (model.folder / "tokenizer/tokenizer.json").write_text("{}")


def models():
    """Changes of the model of text to video."""
    block = "blocks.0."
    svd = {block + "attn1.to_q.proj_down": [384, 32], block + "attn1.to_q.smooth_factor": [384]}
    vace = {"vace_patch_embedding.weight": [384, 96, 1, 2, 2], "vace_blocks.0.proj_out.bias": [384]}
    hunyuan = ["double_blocks.0.img_attn_qkv.weight", "single_blocks.0.linear1.weight"]
    cog = ["transformer_blocks.0.attn1.to_q.weight", "patch_embed.proj.weight"]
    diffusion = config(INDEX, _class_name="StableDiffusionPipeline", unet=["diffusers", "UNet2DConditionModel"])
    nothing = "no transformer weights"
    return [
        case("GGUF as safetensors", lambda model: model.content(f"transformer/{DIFFUSERS}", GGUF), "transformer/", "is a GGUF file"),
        case("GGUF in the folder", other_file("wan2.1-t2v-Q4_K_M.gguf", GGUF), "wan2.1-t2v-Q4_K_M.gguf", "only safetensors"),
        case("a pickle in the folder", other_file("diffusion_pytorch_model.bin", b"PK\x03\x04"), "diffusion_pytorch_model.bin", "only safetensors"),
        case("ONNX in the folder", other_file("model.onnx", b"\x08\x07"), "model.onnx", "only safetensors"),
        case("GGUF as text encoder", lambda model: model.content("text_encoder/model.safetensors", GGUF), "text_encoder/", "is a GGUF file"),
        case("an original repository", original, "tools/convert_wan.py"),
        case("AWQ", scaled(None, **{block + "attn1.to_q.qweight": entry([384, 48], "I32")}), "qweight", "GPTQ"),
        case("SVDQuant", with_tensors(**svd), block + "attn1.to_q.proj_down"),
        case("ComfyUI's single file", prefixed("model.diffusion_model."), "transformer"),
        case("VACE by its class", of_class("WanVACETransformer3DModel"), TRANSFORMER, "VACE"),
        case("VACE by its pipeline", config(INDEX, _class_name="WanVACEPipeline"), INDEX, "VACE"),
        case("VACE by its layers", config(TRANSFORMER, vace_layers=[0, 1]), TRANSFORMER, "vace_layers", "VACE"),
        case("VACE by its channels", config(TRANSFORMER, vace_in_channels=96), TRANSFORMER, "vace_in_channels", "VACE"),
        case("VACE by its tensors", with_tensors(**vace), "vace_", "VACE"),
        case("Fun-Control by its channels", config(TRANSFORMER, in_channels=8), "Fun-Control"),
        case("Fun-Control by its reference", config(TRANSFORMER, add_ref_conv=True), TRANSFORMER, "add_ref_conv", "Fun-Control"),
        case("Fun-Control by its tensors", with_tensors(**{"ref_conv.weight": [384, 16, 2, 2]}), "ref_conv", "reference image"),
        case("Fun-Camera", config(TRANSFORMER, add_control_adapter=True), TRANSFORMER, "add_control_adapter", "camera"),
        case("Fun-Camera by its tensors", with_tensors(**{"control_adapter.conv.weight": [384, 24, 2, 2]}), "control_adapter", "camera"),
        case("SkyReels-V2 by its class", of_class("SkyReelsV2Transformer3DModel"), TRANSFORMER, "SkyReels-V2"),
        case("SkyReels-V2 by its pipeline", config(INDEX, _class_name="SkyReelsV2DiffusionForcingPipeline"), INDEX, "SkyReels-V2"),
        case("SkyReels-V2 by its frame rate", config(TRANSFORMER, inject_sample_info=True), TRANSFORMER, "inject_sample_info", "SkyReels-V2"),
        case("SkyReels-V2 by its tensors", with_tensors(**{"fps_embedding.weight": [2, 384], "fps_projection.0.bias": [384]}), "fps_", "SkyReels-V2"),
        case("Wan2.2-Animate", of_class("WanAnimateTransformer3DModel"), TRANSFORMER, "Animate"),
        case("Wan2.2-Animate by its tensors", with_tensors(**{"face_adapter.fuser_blocks.0.q_norm.weight": [128]}), "face_adapter", "Animate"),
        case("Wan2.2-S2V", of_class("WanModel_S2V"), TRANSFORMER, "S2V"),
        case("Wan2.2-S2V by its tensors", with_tensors(**{"audio_injector.injector.0.q.weight": [384, 384]}), "audio_injector", "S2V"),
        case("HunyuanVideo by its class", of_class("HunyuanVideoTransformer3DModel"), TRANSFORMER, "HunyuanVideoTransformer3DModel"),
        case("HunyuanVideo by its pipeline", config(INDEX, _class_name="HunyuanVideoPipeline"), INDEX, "HunyuanVideoPipeline"),
        case("HunyuanVideo by its tensors", instead(hunyuan), "transformer", nothing),
        case("CogVideoX by its class", of_class("CogVideoXTransformer3DModel"), TRANSFORMER, "CogVideoXTransformer3DModel"),
        case("CogVideoX by its pipeline", config(INDEX, _class_name="CogVideoXPipeline"), INDEX, "CogVideoXPipeline"),
        case("CogVideoX by its tensors", instead(cog), "transformer", nothing),
        case("LTX-Video", of_class("LTXVideoTransformer3DModel"), TRANSFORMER, "LTXVideoTransformer3DModel"),
        case("Mochi", of_class("MochiTransformer3DModel"), TRANSFORMER, "MochiTransformer3DModel"),
        case("Flux", config(INDEX, _class_name="FluxPipeline"), INDEX, "FluxPipeline"),
        case("Qwen-Image", of_class("QwenImageTransformer2DModel"), TRANSFORMER, "QwenImageTransformer2DModel"),
        case("Stable Diffusion", diffusion, INDEX, "StableDiffusionPipeline"),
        case("a part that is not known", config(INDEX, controlnet=["diffusers", "ControlNetModel"]), INDEX, "controlnet"),
        case("another text encoder's class", config(INDEX, text_encoder=["transformers", "LlamaModel"]), INDEX, "LlamaModel"),
        case("T5 as text encoder", config("text_encoder/config.json", model_type="t5"), "text_encoder/config.json", "t5"),
        case("CLIP as text encoder", config("text_encoder/config.json", model_type="clip_text_model"), "text_encoder/config.json", "clip_text_model"),
        case("HunyuanVideo's VAE", of_class("AutoencoderKLHunyuanVideo", "vae/config.json"), "vae/config.json", "AutoencoderKLHunyuanVideo"),
        case("CogVideoX's VAE", of_class("AutoencoderKLCogVideoX", "vae/config.json"), "vae/config.json", "AutoencoderKLCogVideoX"),
        case("an image VAE", of_class("AutoencoderKL", "vae/config.json"), "vae/config.json", "AutoencoderKL"),
        case("another tokenizer", no_sentencepiece, "tokenizer/spiece.model"),
        case("a tokenizer that is no model", lambda model: model.content("tokenizer/spiece.model", b"<html>"), "spiece.model"),
        case("another scheduler", of_class("DDIMScheduler", "scheduler/scheduler_config.json"), "scheduler_config.json", "DDIMScheduler"),
        case("a scheduler of noise", config("scheduler/scheduler_config.json", prediction_type="epsilon"), "scheduler_config.json", "epsilon"),
        case("a quantization in the config", config(TRANSFORMER, quantization_config={"quant_method": "bitsandbytes"}), TRANSFORMER, "quantization_config"),
        case("no model", config(INDEX, "_class_name"), INDEX, "_class_name"),
    ]  # fmt: skip


def adapters():
    """LoRA files of kinds that are not LoRA, or of other models."""

    def file(tensors, metadata=None):
        return lambda path: write_weights(path, tensors, metadata)

    layer = "lora_unet_blocks_0_ffn_0"
    return [
        case("GGUF", lambda path: path.write_bytes(GGUF), "is a GGUF file"),
        case("DoRA", file(PAIR | {"diffusion_model.blocks.0.self_attn.q.dora_scale": entry([384])}), "dora_scale", "DoRA"),
        case("DoRA of PEFT", file(PAIR | {"blocks.0.self_attn.q.lora_magnitude_vector": entry([384])}), "lora_magnitude_vector", "DoRA"),
        case("LoHa", file({f"{layer}.hada_{name}": entry([4, 4]) for name in ("w1_a", "w1_b", "w2_a", "w2_b")}), f"{layer}.hada_", "LoHa"),
        case("LoKr", file({f"{layer}.lokr_{name}": entry([4, 4]) for name in ("w1", "w2")}), f"{layer}.lokr_", "LoKr"),
        case("LoCon", file(pair_of("lora_unet_blocks_0_ffn_0") | {f"{layer}.lora_mid.weight": entry([4, 4, 1, 1])}), "lora_mid", "middle matrix"),
        case("OFT", file({"blocks.0.self_attn.q.oft_blocks": entry([4, 4])}), "oft_blocks", "OFT"),
        case("IA3", file({f"{layer}.weight": entry([384]), f"{layer}.on_input": entry([])}), layer, "low-rank"),
        case("a LoRA of a text encoder", file(pair_of("lora_te1_text_model_encoder_layers_0_mlp_fc1")), "lora_te1", "text encoder"),
        case("a LoRA of Stable Diffusion", file(pair_of("lora_unet_down_blocks_0_attentions_0_proj_in")), "down_blocks_0", "not in the model"),
        case("a LoRA of Flux", file(pair_of("transformer.single_transformer_blocks.0.attn.to_q")), "single_transformer_blocks", "not in the model"),
        case("a LoRA of HunyuanVideo", file(pair_of("diffusion_model.double_blocks.0.img_attn.qkv")), "double_blocks.0", "not in the model"),
        case("a LoRA of VACE", file(pair_of("diffusion_model.vace_blocks.0.self_attn.q")), "vace_blocks.0", "not in the model"),
        case("a textual inversion", file({"emb_params": entry([4, 512])}), "emb_params", "low-rank"),
        case("a patch of weights", file({"diffusion_model.head.head.set_weight": entry([16, 384])}), "set_weight", "replaces weights"),
    ]  # fmt: skip
