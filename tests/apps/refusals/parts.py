"""The other parts of a model: text encoder, VAE and image encoder, damaged or of another model."""

from damage import case, config, files, misfits, of_shape, shards, without


def umt5():
    path, part = "text_encoder/config.json", "text_encoder"
    matrix, vector = "encoder.block.0.layer.1.DenseReluDense.wo.weight", "encoder.block.0.layer.1.layer_norm.weight"
    return misfits(part, matrix, vector) + files(part) + [
        case("another width", config(path, d_model=4096), "text_encoder", "d_model"),
        case("more layers than weights", config(path, num_layers=2), "text_encoder/", "encoder.block.1.", "is missing"),
        case("no layers", config(path, num_layers=0), path, "num_layers"),
        case("more heads", config(path, num_heads=16), "text_encoder/", "has shape"),
        case("another vocabulary", config(path, vocab_size=32128), "text_encoder/", "has shape"),
        case("another activation", config(path, feed_forward_proj="gated-silu"), path, "gated-silu"),
        case("a decoder", config(path, is_decoder=True), path, "is_decoder"),
        case("a misspelt key", config(path, d_modle=512), path, "d_modle"),
    ]  # fmt: skip


def vae():
    path, part = "vae/config.json", "vae"
    matrix, vector = "decoder.mid_block.attentions.0.to_qkv.weight", "decoder.norm_out.gamma"
    statistics = config(path, latents_mean=[0.0] * 5)
    return files(part) + shards(part, matrix) + [
        case("no first layer", without(part, "decoder.conv_in.weight"), "no VAE weights", "decoder.conv_in.weight"),
        case("a tensor is missing", without(part, matrix), "vae/", matrix, "is missing"),
        case("a tensor of another shape", of_shape(part, matrix, lambda s: s[::-1]), "vae/", matrix, "has shape"),
        case("a vector is missing", without(part, vector), "vae/", vector, "is missing"),
        case("another number of channels", config(path, z_dim=16), "16"),
        case("no number of channels", config(path, z_dim=0), path, "z_dim"),
        case("another width", config(path, base_dim=96), "vae/", "has shape"),
        case("more residual blocks", config(path, num_res_blocks=7), "vae/", "is missing"),
        case("another multiplication of widths", config(path, dim_mult=[1, 2]), "vae"),
        case("another stride", config(path, scale_factor_spatial=16), path, "scale_factor_spatial"),
        case("another stride in time", config(path, scale_factor_temporal=8), path, "scale_factor_temporal"),
        case("five means", statistics, path, "latents_mean"),
        case("means that are text", config(path, latents_mean="zero"), path, "latents_mean"),
        case("a deviation of 0", config(path, latents_std=[1.0, 1.0, 1.0, 0.0]), path, "latents_std"),
        case("a misspelt key", config(path, base_dims=4), path, "base_dims"),
        case("a class that is not there", config(path, _class_name="AutoencoderKLHunyuanVideo"), path, "AutoencoderKLHunyuanVideo"),
    ]  # fmt: skip


def clip():
    path, part = "image_encoder/config.json", "image_encoder"
    layer = "encoder.layers.0."
    return misfits(part, layer + "mlp.fc1.weight", layer + "mlp.fc1.bias") + files(part) + [
        case("no norm before the layers", without(part, "pre_layrnorm.bias"), "pre_layrnorm.bias", "is missing"),
        case("another width", config(path, hidden_size=32), "hidden_size", "32"),
        case("more layers than weights", config(path, num_hidden_layers=9), "image_encoder/", "is missing"),
        case("another patch", config(path, patch_size=7), "image_encoder"),
        case("another size", config(path, image_size=1000), "image_encoder"),
        case("another activation", config(path, hidden_act="swish"), path, "hidden_act"),
        case("no CLIP", config(path, model_type="siglip_vision_model"), path, "siglip"),
        case("a misspelt key", config(path, hidden_sizes=16), path, "hidden_sizes"),
    ]  # fmt: skip


# Kind → the family whose folder is damaged, and the cases.
KINDS = {"UMT5": ("T2V", umt5), "VAE": ("T2V", vae), "CLIP": ("I2V", clip)}
