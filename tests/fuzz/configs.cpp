// Configs of all parts of a model folder, as this program, diffusers and Wan2.1 write them.
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/model/model_index.h"
#include "moga/model/text/text_encoder.h"
#include "moga/model/vae/vae.h"
#include "moga/model/wan/transformer.h"
#include "tests/fuzz/agree.h"
#include "tests/fuzz/target.h"

namespace moga::test {
namespace {

using nlohmann::json;
using Path = std::filesystem::path;

constexpr const char* kWan = R"({"_class_name": "WanModel", "dim": 64, "eps": 1e-06, "ffn_dim": 128, "freq_dim": 256,
 "in_dim": 16, "model_type": "t2v", "num_heads": 4, "num_layers": 2, "out_dim": 16, "text_len": 512})";
constexpr const char* kDiffusers = R"({"_class_name": "WanTransformer3DModel", "_diffusers_version": "0.35.0",
 "added_kv_proj_dim": null, "attention_head_dim": 16, "cross_attn_norm": true, "eps": 1e-06, "ffn_dim": 128,
 "freq_dim": 256, "image_dim": null, "in_channels": 16, "num_attention_heads": 4, "num_layers": 2, "out_channels": 16,
 "patch_size": [1, 2, 2], "pos_embed_seq_len": null, "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 1024,
 "text_dim": 4096})";
constexpr const char* kIndex = R"({"_class_name": "WanPipeline", "_diffusers_version": "0.35.0",
 "scheduler": ["diffusers", "UniPCMultistepScheduler"], "text_encoder": ["transformers", "UMT5EncoderModel"],
 "tokenizer": ["transformers", "T5TokenizerFast"], "transformer": ["diffusers", "WanTransformer3DModel"],
 "vae": ["diffusers", "AutoencoderKLWan"], "boundary_ratio": null, "expand_timesteps": false})";

constexpr const char* kVae22 = R"({"_class_name": "AutoencoderKLWan", "attn_scales": [], "base_dim": 8,
 "clip_output": false, "decoder_base_dim": 16, "dim_mult": [1, 2, 4, 4], "dropout": 0.0, "in_channels": 12,
 "is_residual": true, "latents_mean": [0.1, -0.2], "latents_std": [0.5, 1.5], "num_res_blocks": 2, "out_channels": 12,
 "patch_size": 2, "scale_factor_spatial": 16, "scale_factor_temporal": 4, "temperal_downsample": [false, true, true],
 "z_dim": 2})";

std::string mutate(const std::string& original, Random& random) { return mutate_text(original, random); }

// Under the names of WanTransformer3DModel; defaults are left to the reader.
json renamed(json given) {
  for (const auto& [wan, ours] : {std::pair{"in_dim", "in_channels"}, {"out_dim", "out_channels"}})
    if (given.contains("dim") && given.contains("num_heads") && given.contains(wan)) given[ours] = given[wan];
  for (const char* key : {"in_dim", "out_dim"}) given.erase(key);
  if (given.contains("qk_norm") && given["qk_norm"].is_boolean())
    given["qk_norm"] = given["qk_norm"] ? "rms_norm_across_heads" : "";
  return given;
}

void read_transformer(const Path& path, const std::string& bytes) {
  const TransformerConfig config = load_transformer_config(path);
  const json used = json::parse(to_json(config)), given = renamed(json::parse(bytes));
  check_agrees(given, used,
               {"dim", "num_heads", "model_type", "rope_max_seq_len", "image_dim", "added_kv_proj_dim",
                "pos_embed_seq_len", "window_size"});
  if (given.contains("num_heads") && given["num_heads"] != used["num_attention_heads"]) throw Wrong("num_heads");
  if (given.contains("num_heads") && given["dim"] != config.width()) throw Wrong("dim");
}

void read_vae(const Path& path, const std::string& bytes) {
  const json used = json::parse(to_json(load_vae_config(path)));
  check_agrees(json::parse(bytes), used,
               {"scale_factor_spatial", "scale_factor_temporal", "in_channels", "out_channels", "clip_output"});
}

// transformers writes many keys that say what an encoder of this class always is.
void read_text_encoder(const Path& path, const std::string& bytes) {
  const json used = json::parse(to_json(load_text_encoder_config(path))), given = json::parse(bytes);
  for (const auto& [key, value] : used.items())
    if (given.contains(key)) check_agrees(given[key], value, {}, key);
}

void read_index(const Path& path, const std::string& bytes) {
  const ModelIndex index = load_model_index(path.parent_path());
  const json given = json::parse(bytes);
  if (index.expand_timesteps != (given.value("expand_timesteps", json()) == true)) throw Wrong("expand_timesteps");
  if (given["_class_name"] != "WanPipeline") throw Wrong("another pipeline was accepted");
  for (const char* key : {"boundary_ratio", "transformer_2"})
    if (given.contains(key) && !given[key].is_null() && given[key] != false &&
        given[key] != json::array({nullptr, nullptr}))
      throw Wrong(std::string(key) + " was ignored");
}

}  // namespace

std::vector<Target> config_targets(const Path& folder) {
  const auto written = [&](const char* part) { return read_text(folder / part); };
  return {{"transformer configs",
           "config.json",
           {kWan, kDiffusers, written("transformer/config.json")},
           mutate,
           read_transformer},
          {"VAE configs", "config.json", {written("vae/config.json"), kVae22}, mutate, read_vae},
          {"text encoder configs", "config.json", {written("text_encoder/config.json")}, mutate, read_text_encoder},
          {"pipeline configs", "model_index.json", {kIndex}, mutate, read_index}};
}

}  // namespace moga::test
