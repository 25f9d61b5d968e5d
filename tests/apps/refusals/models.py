"""Weights and configs of each family of video models that are damaged or do not belong together."""

from damage import HTML, case, config, files, headers, misfits, of_shape, shards, surplus, without

INDEX, TRANSFORMER, SECOND = "model_index.json", "transformer/config.json", "transformer_2/config.json"
MATRIX, VECTOR = "blocks.1.ffn.net.0.proj.weight", "blocks.1.ffn.net.0.proj.bias"
EMBEDDER = "condition_embedder.image_embedder."


def wrong_config(path=TRANSFORMER, fewer="no use, first blocks.1."):
    part = path.split("/")[0]
    return [
        case(f"{part}: more layers than weights", config(path, num_layers=3), part, "is missing"),
        case(f"{part}: fewer layers than weights", config(path, num_layers=1), part, fewer),
        case(f"{part}: layers beyond reason", config(path, num_layers=10**12), path, "num_layers"),
        case(f"{part}: another width", config(path, ffn_dim=1024), part, "has shape"),
        case(f"{part}: a misspelt key", config(path, num_layer=2), path, "num_layer"),
        case(f"{part}: a key that is a list", config(path, ffn_dim=[1536]), path, "ffn_dim"),
        case(f"{part}: config is a list", lambda model: model.content(path, b"[]"), path),
        case(f"{part}: config is cut off", lambda model: model.content(path, b'{"num_layers": '), path),
    ]


def text_to_video():
    return wrong_config() + misfits("transformer", MATRIX, VECTOR) + headers("transformer", VECTOR)


def no_image_encoder(model):
    model.json(INDEX, image_encoder=[None, None])
    model.remove("image_encoder")


def image_to_video():
    processor = "image_processor/preprocessor_config.json"
    attention, norm = "blocks.1.attn2.add_k_proj.weight", EMBEDDER + "norm1.weight"
    positions = surplus("transformer", **{EMBEDDER + "pos_embed": [1, 10, 16]})
    return wrong_config() + files("transformer") + [
        case("half of an image encoder", config(TRANSFORMER, "image_dim"), TRANSFORMER, "image_dim"),
        case("channels of text to video", config(TRANSFORMER, in_channels=4), "says image to video"),
        case("channels of Fun-Control", config(TRANSFORMER, in_channels=16), "Fun-Control"),
        case("another image encoder", config(TRANSFORMER, image_dim=1280), "image_encoder", "1280"),
        case("no image encoder", no_image_encoder, "image_encoder"),
        case("no attention to the image", without("transformer", attention), attention, "is missing"),
        case("no projection of the image", without("transformer", norm), norm, "is missing"),
        case("positions of FLF2V", positions, EMBEDDER + "pos_embed", "has no use"),
        case("a text-to-video pipeline", config(INDEX, _class_name="WanPipeline"), "text to video"),
        case("no image_processor", lambda model: model.remove("image_processor"), processor),
        case("a processor of another size", config(processor, crop_size={"height": 14, "width": 14}), "crop_size is 14"),
        case("a processor of other statistics", config(processor, image_mean=[0.5]), processor, "image_mean"),
    ]  # fmt: skip


def first_and_last_frame():
    positions = EMBEDDER + "pos_embed"
    alone = config(TRANSFORMER, image_dim=None, added_kv_proj_dim=None)
    return wrong_config() + misfits("transformer", MATRIX, VECTOR) + shards("transformer", MATRIX) + [
        case("no positions", without("transformer", positions), positions, "is missing"),
        case("positions of one frame", of_shape("transformer", positions, lambda s: [1, 5, 16]), "has shape [1, 5, 16]"),
        case("positions of another encoder", config(TRANSFORMER, pos_embed_seq_len=514), "pos_embed_seq_len is 514"),
        case("positions without an encoder", alone, "image_dim"),
        case("half of an encoder", config(TRANSFORMER, added_kv_proj_dim=None), TRANSFORMER, "added_kv_proj_dim"),
    ]  # fmt: skip


def two_experts():
    last, foreign = "blocks.1.ffn.net.2.bias", surplus("transformer_2", **{"blocks.0.attn2.add_k_proj.bias": [384]})
    other_class = config(INDEX, transformer_2=["diffusers", "CogVideoXTransformer3DModel"])
    return wrong_config() + wrong_config(SECOND) + [
        case("no boundary", config(INDEX, "boundary_ratio"), INDEX, "boundary_ratio"),
        case("a boundary of 1", config(INDEX, boundary_ratio=1.0), INDEX, "boundary_ratio = 1"),
        case("a boundary that is text", config(INDEX, boundary_ratio="0.9"), INDEX, "boundary_ratio"),
        case("no second expert named", config(INDEX, "transformer_2", "boundary_ratio"), INDEX, "transformer_2"),
        case("no index", lambda model: (model.folder / INDEX).unlink(), "transformer_2", "boundary_ratio"),
        case("an expert of text to video", config(SECOND, in_channels=4), "transformer_2 differ"),
        case("an expert of another text", config(SECOND, text_dim=768), "transformer_2 differ"),
        case("an expert of another class", config(SECOND, _class_name="WanVACETransformer3DModel"), SECOND, "VACE"),
        case("a part of another class", other_class, INDEX, "CogVideoX"),
        case("an expert cut off", lambda model: model.resize("transformer_2", lambda size: size - 4), "transformer_2/", "truncated"),
        case("an expert without weights", lambda model: model.file("transformer_2").unlink(), "transformer_2/*.safetensors"),
        case("an expert with a tensor less", without("transformer_2", last), "transformer_2/", last, "is missing"),
        case("an expert with an image encoder", foreign, "transformer_2/", "add_k_proj", "attention to the image"),
        case("an expert that is a web page", lambda model: model.content(model.file("transformer_2"), HTML), "transformer_2/"),
    ]  # fmt: skip


def text_or_image_to_video():
    vae = "vae/config.json"
    return wrong_config() + misfits("transformer", MATRIX, VECTOR) + [
        case("Wan2.1's VAE", config(vae, is_residual=False, patch_size=None), "vae"),
        case("a VAE of more channels", config(vae, z_dim=48), "48"),
        case("a VAE of another stride", config(vae, scale_factor_spatial=8), vae, "scale_factor_spatial"),
        case("a VAE of other statistics", config(vae, latents_mean=[0.0]), vae, "latents_mean"),
        case("a VAE of a deviation of 0", config(vae, latents_std=[1.0, 1.0, 1.0, 0.0]), vae, "latents_std"),
        case("a VAE of other patches", config(vae, patch_size=4), "vae"),
        case("a VAE cut off", lambda model: model.resize("vae", lambda size: size - 2), "vae/", "truncated"),
        case("expand_timesteps that is text", config(INDEX, expand_timesteps="yes"), INDEX, "expand_timesteps"),
        case("channels of images", config(TRANSFORMER, in_channels=12), "expand_timesteps"),
    ]  # fmt: skip


def mmdit():
    attention, text_ffn = "blocks.0.text.cross_attn.q.weight", "blocks.1.text.ffn.0.weight"
    vectors = of_shape("transformer", "blocks.0.modulation", lambda s: [1, 6, 384])
    return wrong_config(fewer="blocks.0.text.modulation has shape") + misfits("transformer", "blocks.1.ffn.0.weight", "blocks.1.ffn.0.bias") + [
        case("joint attention of another kind", config(TRANSFORMER, joint="film"), TRANSFORMER, "joint", "film"),
        case("Wan's class", config(TRANSFORMER, _class_name="WanTransformer3DModel"), "transformer"),
        case("no class", config(TRANSFORMER, "_class_name"), "transformer"),
        case("SD3's class", config(TRANSFORMER, _class_name="SD3Transformer2DModel"), TRANSFORMER, "SD3Transformer2DModel"),
        case("a text stream in the last block", surplus("transformer", **{text_ffn: [1536, 384]}), text_ffn),
        case("no text stream", without("transformer", attention), attention, "is missing"),
        case("a vector less", vectors, "blocks.0.modulation", "has shape"),
        case("no groups", config(TRANSFORMER, moga={"groups": 0}), TRANSFORMER, "groups"),
        case("a full layer that is not there", config(TRANSFORMER, moga={"full_layers": [7]}), "full_layers"),
        case("another text encoder", config(TRANSFORMER, text_dim=4096), "text_dim"),
    ]  # fmt: skip


KINDS = {"T2V": text_to_video, "I2V": image_to_video, "FLF2V": first_and_last_frame, "A14B": two_experts,
         "TI2V-5B": text_or_image_to_video, "MMDiT": mmdit}  # fmt: skip
