// A model folder of a few parameters. See tiny_model.h.
#include "tests/support/tiny_model.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include "moga/core/files.h"
#include "moga/model/text/text_encoder.h"
#include "moga/model/text/tokenizer.h"
#include "moga/model/vae/vae.h"
#include "moga/model/wan/transformer.h"

namespace moga::test {
namespace {

constexpr int64_t kTextWidth = 16;
constexpr int64_t kLatentChannels = 4;
constexpr int64_t kVocabulary = 64;

std::vector<std::string> captions() {
  std::vector<std::string> texts;
  for (const char* name : {"Mara", "Tom", "Ines", "Bo"})
    for (const char* action : {"walks by the lake", "waves at the camera", "jumps in the snow", "stands in a forest"})
      for (const char* colour : {"red", "green", "blue", "yellow"})
        texts.push_back(std::string("A wide shot. ") + name + " with a " + colour + " cap " + action + ".");
  return texts;
}

Transformer tiny_transformer() {
  TransformerConfig config;
  config.num_attention_heads = 2;
  config.attention_head_dim = 12;
  config.in_channels = config.out_channels = kLatentChannels;
  config.text_dim = kTextWidth;
  config.freq_dim = 16;
  config.ffn_dim = 32;
  config.num_layers = 2;
  config.text_len = 24;
  config.moga.groups = 3;
  config.moga.windows.run_frames = 2;
  Transformer model(config);
  // Wan2.1 initialises the head to zero; tests need a velocity that depends on the input.
  for (const at::Tensor& weight : model->parameters()) weight.detach().add_(at::randn_like(weight), 0.1);
  return model;
}

TextEncoder tiny_text_encoder() {
  TextEncoderConfig config;
  config.vocab_size = kVocabulary;
  config.d_model = kTextWidth;
  config.d_kv = 8;
  config.d_ff = 32;
  config.num_layers = 1;
  config.num_heads = 2;
  TextEncoder encoder(config);
  encoder->initialise();
  return encoder;
}

Vae tiny_vae() {
  VaeConfig config;
  config.base_dim = 4;
  config.z_dim = kLatentChannels;
  config.dim_mult = {1, 1, 1, 1};
  config.num_res_blocks = 1;
  config.latents_mean = std::vector<double>(kLatentChannels, 0.0);
  config.latents_std = std::vector<double>(kLatentChannels, 1.0);
  return Vae(config);
}

}  // namespace

void write_tiny_model(const std::filesystem::path& folder) {
  torch::manual_seed(1);
  std::filesystem::create_directories(folder / "tokenizer");
  train_tokenizer(captions(), kVocabulary, folder / "tokenizer" / "spiece.model");
  save_text_encoder(folder / "text_encoder", tiny_text_encoder(), at::kFloat);
  save_transformer(folder / "transformer", tiny_transformer(), at::kFloat);
  save_vae(folder / "vae", tiny_vae(), at::kFloat);
  write_text(folder / "scheduler" / "scheduler_config.json",
             R"({"_class_name": "UniPCMultistepScheduler", "flow_shift": 3.0, "prediction_type": "flow_prediction",
                 "use_flow_sigmas": true, "steps": 2, "guidance": 3.0})");
}

}  // namespace moga::test
