// A transformer of a few parameters and input for it. See transformer_cases.h.
#include "tests/model/wan/transformer_cases.h"

#include <ATen/ATen.h>

namespace moga::test {

TransformerConfig small_config() {
  TransformerConfig config;
  config.num_attention_heads = 2;
  config.attention_head_dim = 16;
  config.in_channels = config.out_channels = 4;
  config.text_dim = 16;
  config.freq_dim = 16;
  config.ffn_dim = 32;
  config.num_layers = 2;
  config.text_len = 8;
  config.moga.groups = 3;
  config.moga.windows.run_frames = 2;
  return config;
}

TransformerConfig full_attention(TransformerConfig config) {
  config.moga.kind = AttentionKind::kFull;
  return config;
}

Transformer random_transformer(const TransformerConfig& config) {
  Transformer model(config);
  const at::NoGradGuard no_grad;
  for (at::Tensor& parameter : model->parameters()) parameter.add_(at::randn_like(parameter), 0.1);
  return model;
}

VideoModelInput random_input(const TransformerConfig& config, const std::vector<VideoShape>& videos) {
  VideoModelInput input;
  input.layout.videos = videos;
  for (const VideoShape& video : videos) input.latents.push_back(at::randn(config.latent_shape(video)));
  input.timestep = at::rand({static_cast<int64_t>(videos.size())}) * 1000;
  input.text = at::randn({input.layout.shots(), config.text_len, config.text_dim});
  input.text.narrow(1, 5, config.text_len - 5).zero_();
  return input;
}

VideoModelInput alone(const VideoModelInput& input, size_t video) {
  int64_t first_shot = 0;
  for (size_t i = 0; i < video; ++i) first_shot += input.layout.videos[i].shots();
  const VideoShape& shape = input.layout.videos[video];
  return {.latents = {input.latents[video]},
          .timestep = input.timestep.narrow(0, static_cast<int64_t>(video), 1),
          .text = input.text.narrow(0, first_shot, shape.shots()),
          .layout = {{shape}}};
}

}  // namespace moga::test
