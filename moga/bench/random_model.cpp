// See random_model.h.
#include "moga/bench/random_model.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/attention/router_fit.h"
#include "moga/core/random.h"
#include "moga/model/layers/kept_precision.h"

namespace moga {

at::Tensor random_tensor(at::IntArrayRef shape, int64_t index, c10::Device device, c10::ScalarType dtype) {
  return at::randn(shape, random_stream(0, "bench", index, device), at::TensorOptions(dtype).device(device));
}

Transformer random_transformer(const TransformerConfig& config, c10::Device device, c10::ScalarType dtype) {
  Transformer model(config, /*initialise=*/false);
  for (const auto& item : model->named_parameters()) {
    const c10::ScalarType kept = kept_dtype(item.key(), dtype);
    item.value().set_data(at::empty(item.value().sizes(), at::TensorOptions(kept).device(device)));
  }
  model->initialise();
  const at::NoGradGuard no_grad;
  for (const auto& item : model->named_parameters())
    if (item.key() == "head.head.weight") item.value().normal_(0.0, 0.02);
  return model;
}

void even_routers(Transformer& model, const VideoShape& video, c10::Device device, c10::ScalarType dtype) {
  constexpr int64_t kSample = 4096;  // rows of a layer
  if (!model->config().moga.uses_router()) return;
  const at::NoGradGuard no_grad;
  auto parameters = model->named_parameters();
  const AttentionObserver even = [&](int64_t layer, const at::Tensor& x, const at::Tensor&, const at::Tensor&,
                                     const at::Tensor&) {
    const std::string router = router_prefix(layer);
    const at::Tensor* weight = parameters.find(router + "weight");
    if (!weight) return;
    const at::Tensor rows = at::randint(x.size(0), {kSample}, random_stream(0, "sample", layer, x.device()),
                                        at::TensorOptions(at::kLong).device(x.device()));
    const at::Tensor logits = x.index_select(0, rows).to(weight->scalar_type()).matmul(weight->t());  // [kSample, M]
    parameters.find(router + "bias")->copy_(balance_offsets(logits));
  };
  // An observer comes behind its layer's routing. So a short video first: with routers as they begin, nearly all tokens
  // of a long one would be one group.
  constexpr int64_t kFewFrames = 21;
  const VideoShape few{std::min(video.frames, kFewFrames), video.rows, video.columns, {}};
  for (const VideoShape& seen : {few, video}) {
    TransformerInput input = random_input(model->config(), {seen}, device, dtype);
    input.observer = even;
    model->forward(input, dtype);
  }
}

void stream_blocks(Transformer& model, c10::Device device) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> values;
  for (const at::Tensor& parameter : model->parameters()) values.push_back(parameter.detach());
  model->keep_blocks_on_host(device);
  std::vector<at::Tensor> parameters = model->parameters();
  for (size_t i = 0; i < values.size(); ++i)
    if (parameters[i].data_ptr() != values[i].data_ptr()) parameters[i].copy_(values[i]);
  model->stream_blocks();
}

TextEncoder random_text_encoder(const TextEncoderConfig& config, c10::Device device, c10::ScalarType dtype) {
  TextEncoder encoder(config, /*initialise=*/false);
  for (at::Tensor& parameter : encoder->parameters())
    parameter.set_data(at::empty(parameter.sizes(), at::TensorOptions(dtype).device(device)));
  encoder->initialise();
  return encoder;
}

TransformerInput random_input(const TransformerConfig& config, const std::vector<VideoShape>& videos,
                              c10::Device device, c10::ScalarType dtype) {
  TransformerInput input;
  input.layout = Layout{videos};
  for (const VideoShape& video : videos)
    input.latents.push_back(random_tensor(
        {config.in_channels, video.frames, video.rows * config.patch_size[1], video.columns * config.patch_size[2]},
        static_cast<int64_t>(input.latents.size()) + 1, device, at::kFloat));
  input.timestep = at::full({static_cast<int64_t>(videos.size())}, 500.0, input.latents[0].options());
  input.text = random_tensor({input.layout.shots(), config.text_len, config.text_dim}, 0, device, dtype);
  return input;
}

}  // namespace moga
