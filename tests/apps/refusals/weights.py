"""Damage that any safetensors file may have, and what is wrong for one family of transformers."""

import json

from folders import EXPERT, entry

HTML = b"<!DOCTYPE html><html><body>Access to this model is restricted.</body></html>"


def case(label, change, *says):
    return label, change, says


def damaged(part, matrix, bias):
    """`matrix` [out, in], out ≠ in, and `bias`: tensors of the part."""

    def tensors(change):
        return lambda model: model.tensors(part, change)

    def header(change):
        return lambda model: model.header(part, change)

    def content(data):
        return lambda model: model.content(model.file(part), data)

    def of(name, **changes):
        return tensors(lambda all: all[name].update(changes))

    def shape_of(name, change):
        return tensors(lambda all: all[name].update(shape=change(all[name]["shape"])))

    def offsets(name, change):
        return header(lambda all: all[name].update(data_offsets=change(*all[name]["data_offsets"])))

    def second_file(model):
        (model.folder / part / "other.safetensors").write_bytes(b"")

    def index(weight_map):
        def change(model):
            path = model.file(part)
            path.with_name(path.name + ".index.json").write_text(json.dumps({"weight_map": weight_map}))

        return change

    name = f"{part}/"
    return [
        case("a tensor is missing", tensors(lambda all: all.pop(matrix)), name, matrix, "is missing"),
        case("a bias is missing", tensors(lambda all: all.pop(bias)), name, bias, "is missing"),
        case("a row too many", shape_of(matrix, lambda s: [s[0] + 1, *s[1:]]), name, matrix, "has shape"),
        case("transposed", shape_of(matrix, lambda s: s[::-1]), name, matrix, "has shape"),
        case("flattened", shape_of(matrix, lambda s: [s[0] * s[1]]), name, matrix, "has shape"),
        case("a dimension more", shape_of(bias, lambda s: [1, *s]), name, bias, "has shape"),
        case("whole numbers", of(matrix, dtype="I32"), name, matrix, "holds Int"),
        case("bytes", of(matrix, dtype="U8"), name, matrix, "holds Byte"),
        case("truth values", of(bias, dtype="BOOL"), name, bias, "holds Bool"),
        case("an unknown dtype", header(lambda all: all[bias].update(dtype="F5")), name, bias, "F5"),
        case("no dtype", header(lambda all: all[bias].pop("dtype")), name, bias, "dtype is missing"),
        case("a tensor too many", tensors(lambda all: all.update({"surplus.weight": entry([8, 8])})), name, "surplus.weight"),
        case("a name with a line end", tensors(lambda all: all.update({"a\nb": entry([8])})), name, r"a\x0ab"),
        case("data cut off", lambda model: model.cut(part, -1000), name, "truncated"),
        case("header cut off", lambda model: model.cut(part, 500), name, "truncated"),
        case("length cut off", lambda model: model.cut(part, 5), name, "too few for a header"),
        case("more data than tensors", lambda model: model.cut(part, None), name, "belong to no tensor"),
        case("tensors overlap", offsets(bias, lambda a, b: [a - 16, b - 16]), name, bias, "overlap"),
        case("offsets run backwards", offsets(bias, lambda a, b: [b, a]), name, bias, "run backwards"),
        case("offsets beyond the file", offsets(bias, lambda a, b: [a + 2**40, b + 2**40]), name, bias, "leave the file"),
        case("offsets below zero", offsets(bias, lambda a, b: [-4, b]), name, bias, "non-negative"),
        case("a shape beyond all numbers", header(lambda all: all[bias].update(shape=[2**40, 2**40])), name, bias, "too large"),
        case("a shape that is text", header(lambda all: all[bias].update(shape="8")), name, bias, "not a list"),
        case("a shape that is not the size", header(lambda all: all[bias].update(shape=[7])), name, bias, "takes 28 bytes"),
        case("header is no JSON", header(lambda all: "{ not JSON"), name, "header"),
        case("header is a list", header(lambda all: "[]"), name, "header"),
        case("header is nested without end", header(lambda all: '{"a":' + "[" * 100000), name, "header"),
        case("header names a tensor twice", header(lambda all: json.dumps(all)[:-1] + ', "%s": {}}' % bias), name, bias),
        case("metadata is no text", header(lambda all: all.update(__metadata__={"format": 1})), name, "__metadata__"),
        case("no file", lambda model: model.file(part).unlink(), f"{part}/*.safetensors"),
        case("empty", content(b""), name, "too few for a header"),
        case("a web page", content(HTML), name, "is this a safetensors file"),
        case("a zip pickle", content(b"PK\x03\x04" + bytes(200)), name, "is a PyTorch pickle"),
        case("an old pickle", content(b"\x80\x02}q\x00." + bytes(200)), name, "is a PyTorch pickle"),
        case("a pointer of Git LFS", content(b"version https://git-lfs.github.com/spec/v1\n"), name, "git lfs pull"),
        case("two files and no index", second_file, part, "no index"),
        case("an index of a missing file", index({matrix: "shard.safetensors"}), name, matrix, "is missing"),
        case("an index of a tensor elsewhere", index({"x": "diffusion_pytorch_model.safetensors"}), name, "'x'"),
        case("an index of another folder", index({"x": "../vae/model.safetensors"}), name, "'x'"),
    ]  # fmt: skip


def config(path, *removed, **changes):
    return lambda model: model.json(path, *removed, **changes)


TRANSFORMER = "transformer/config.json"


def wrong_config(path=TRANSFORMER):
    return [
        case("more layers than weights", config(path, num_layers=3), "transformer", "blocks.2.", "is missing"),
        case("fewer layers than weights", config(path, num_layers=1), "transformer", "no use, first blocks.1."),
        case("layers beyond reason", config(path, num_layers=10**12), path, "num_layers"),
        case("another width", config(path, num_attention_heads=4), "transformer", "has shape"),
        case("a misspelt key", config(path, num_layer=2), path, "num_layer"),
        case("a key that is a list", config(path, ffn_dim=[1536]), path, "ffn_dim"),
        case("config is a list", lambda model: model.content(path, b"[]"), path),
        case("config is cut off", lambda model: model.content(path, b'{"num_layers": '), path),
    ]


def i2v():
    embedder = "condition_embedder.image_embedder.norm1.weight"
    no_encoder = lambda model: model.json("model_index.json", image_encoder=[None, None]) or __import__("shutil").rmtree(model.folder / "image_encoder")
    return wrong_config() + [
        case("config without image_dim", config(TRANSFORMER, "image_dim"), "image_encoder", "image_dim"),
        case("channels of text to video", config(TRANSFORMER, in_channels=4), "says image to video"),
        case("channels of Fun-Control", config(TRANSFORMER, in_channels=16), "Fun-Control"),
        case("another image encoder", config(TRANSFORMER, image_dim=1280), "image_encoder", "1280"),
        case("no image encoder", no_encoder, "image_encoder"),
        case("no attention to the image", lambda model: model.tensors("transformer", lambda all: all.pop("blocks.1.attn2.add_k_proj.weight")), "blocks.1.attn2.add_k_proj.weight", "is missing"),
        case("no projection of the image", lambda model: model.tensors("transformer", lambda all: all.pop(embedder)), embedder, "is missing"),
        case("positions of FLF2V", lambda model: model.tensors("transformer", lambda all: all.update({"condition_embedder.image_embedder.pos_embed": entry([1, 10, 16])})), "image_embedder.pos_embed", "config.json says nothing"),
        case("a text-to-video pipeline", config("model_index.json", _class_name="WanPipeline"), "text to video"),
        case("an image encoder of another width", config("image_encoder/config.json", hidden_size=32), "32"),
        case("an image encoder that is no CLIP", config("image_encoder/config.json", model_type="siglip_vision_model"), "image_encoder/config.json", "siglip"),
        case("a processor of another size", config("image_processor/preprocessor_config.json", crop_size={"height": 14, "width": 14}), "crop_size is 14"),
        case("an image encoder cut off", lambda model: model.cut("image_encoder", -8), "image_encoder/", "truncated"),
        case("an image encoder without a tensor", lambda model: model.tensors("image_encoder", lambda all: all.pop("pre_layrnorm.bias")), "image_encoder/", "pre_layrnorm.bias", "is missing"),
    ]  # fmt: skip


def flf2v():
    embedding = "condition_embedder.image_embedder.pos_embed"
    return wrong_config() + [
        case("no positions", lambda model: model.tensors("transformer", lambda all: all.pop(embedding)), embedding, "is missing"),
        case("positions of one frame", lambda model: model.tensors("transformer", lambda all: all[embedding].update(shape=[1, 5, 16])), embedding, "has shape [1, 5, 16]"),
        case("positions of another encoder", config(TRANSFORMER, pos_embed_seq_len=514), "pos_embed_seq_len is 514"),
        case("positions without an encoder", config(TRANSFORMER, image_dim=None, added_kv_proj_dim=None), "image_dim"),
        case("half an encoder", config(TRANSFORMER, added_kv_proj_dim=None), TRANSFORMER, "added_kv_proj_dim"),
    ]  # fmt: skip


def a14b():
    index, second = "model_index.json", "transformer_2/config.json"
    return wrong_config() + wrong_config(second) + [
        case("no boundary", config(index, "boundary_ratio"), index, "boundary_ratio"),
        case("a boundary of 1", config(index, boundary_ratio=1.0), index, "boundary_ratio = 1"),
        case("a boundary that is text", config(index, boundary_ratio="0.9"), index, "boundary_ratio"),
        case("no second expert named", config(index, "transformer_2", "boundary_ratio"), index, "transformer_2"),
        case("no index", lambda model: (model.folder / index).unlink(), "transformer_2", "boundary_ratio"),
        case("an expert of text to video", config(second, in_channels=4), "transformer_2 differ"),
        case("an expert of another text", config(second, text_dim=768), "transformer_2 differ"),
        case("an expert of another class", config(second, _class_name="WanVACETransformer3DModel"), second, "VACE"),
        case("a part of another class", config(index, transformer_2=["diffusers", "CogVideoXTransformer3DModel"]), index, "CogVideoX"),
        case("an expert cut off", lambda model: model.cut("transformer_2", -4), "transformer_2/", "truncated"),
        case("an expert without weights", lambda model: model.file("transformer_2").unlink(), "transformer_2/*.safetensors"),
        case("an expert with a tensor less", lambda model: model.tensors("transformer_2", lambda all: all.pop("blocks.1.ffn.net.2.bias")), "transformer_2/", "blocks.1.ffn.net.2.bias", "is missing"),
        case("an expert with an image encoder's tensors", lambda model: model.tensors("transformer_2", lambda all: all.update({"blocks.0.attn2.add_k_proj.bias": entry([384])})), "transformer_2/", "add_k_proj", "attention to the image"),
        case("an expert that is a web page", lambda model: model.content(model.file("transformer_2"), HTML), "transformer_2/"),
    ]  # fmt: skip


def ti2v():
    vae = "vae/config.json"
    name = "decoder.conv_in.weight"
    return wrong_config() + [
        case("Wan2.1's VAE", config(vae, is_residual=False, patch_size=None), "vae"),
        case("a VAE of more channels", config(vae, z_dim=48), "48"),
        case("a VAE of another stride", config(vae, scale_factor_spatial=8), vae, "scale_factor_spatial"),
        case("a VAE of other statistics", config(vae, latents_mean=[0.0]), vae, "latents_mean"),
        case("a VAE of a deviation of 0", config(vae, latents_std=[1.0, 1.0, 1.0, 0.0]), vae, "latents_std"),
        case("a VAE of another class", config(vae, _class_name="AutoencoderKLHunyuanVideo"), vae, "AutoencoderKLHunyuanVideo"),
        case("a misspelt key of the VAE", config(vae, base_dims=4), vae, "base_dims"),
        case("a VAE of other patches", config(vae, patch_size=4), "vae"),
        case("expand_timesteps that is text", config("model_index.json", expand_timesteps="yes"), "model_index.json", "expand_timesteps"),
        case("channels of images", config(TRANSFORMER, in_channels=12), "expand_timesteps"),
    ] + [(f"the VAE: {label}", change, says) for label, change, says in damaged("vae", "decoder.mid_block.attentions.0.to_qkv.bias", name) if label not in ("transposed", "flattened")]  # fmt: skip


def mmdit():
    def surplus(name, *shape):
        return lambda model: model.tensors("transformer", lambda all: all.update({name: entry(shape)}))

    return wrong_config() + [
        case("joint attention of another kind", config(TRANSFORMER, joint="film"), TRANSFORMER, "joint", "film"),
        case("Wan's class", config(TRANSFORMER, _class_name="WanTransformer3DModel"), "transformer"),
        case("no class", config(TRANSFORMER, "_class_name"), "transformer"),
        case("SD3's class", config(TRANSFORMER, _class_name="SD3Transformer2DModel"), TRANSFORMER, "SD3Transformer2DModel"),
        case("a text stream in the last block", surplus("blocks.1.text.ffn.0.weight", 1536, 384), "blocks.1.text.ffn.0.weight"),
        case("no text stream", lambda model: model.tensors("transformer", lambda all: all.pop("blocks.0.text.cross_attn.q.weight")), "blocks.0.text.cross_attn.q.weight", "is missing"),
        case("a vector less", lambda model: model.tensors("transformer", lambda all: all["blocks.0.modulation"].update(shape=[1, 6, 384])), "blocks.0.modulation", "has shape"),
        case("no groups", config(TRANSFORMER, moga={"groups": 0}), TRANSFORMER, "groups"),
        case("a full layer that is not there", config(TRANSFORMER, moga={"full_layers": [7]}), "full_layers"),
        case("another text encoder", config(TRANSFORMER, text_dim=4096), "text_dim"),
    ]  # fmt: skip


def with_damage(cases, matrix="blocks.1.ffn.net.0.proj.weight", bias="blocks.1.ffn.net.0.proj.bias"):
    return cases + damaged("transformer", matrix, bias)


KINDS = {
    "I2V": lambda: with_damage(i2v()),
    "FLF2V": lambda: with_damage(flf2v()),
    "A14B": lambda: with_damage(a14b()),
    "TI2V-5B": lambda: with_damage(ti2v()),
    "MMDiT": lambda: with_damage(mmdit(), "blocks.1.ffn.0.weight", "blocks.1.ffn.0.bias"),
}
