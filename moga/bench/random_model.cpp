// See random_model.h.
#include "moga/bench/random_model.h"

#include <ATen/ATen.h>

#include <mutex>

#include "moga/attention/router_fit.h"
#include "moga/core/random.h"
#include "moga/model/layers/kept_precision.h"

namespace moga {

at::Tensor random_tensor(at::IntArrayRef shape, int64_t index, c10::Device device, c10::ScalarType dtype) {
  return at::randn(shape, random_stream(0, "bench", index, device), at::TensorOptions(dtype).device(device));
}

namespace {

// Every process has the same weights then: a GPU's default generator starts from a seed of its own.
void seed_default_generator(c10::Device device) {
  at::Generator generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard lock(generator.mutex());
  generator.set_current_seed(0);
}

}  // namespace

VideoModelPtr random_video_model(const VideoModelConfig& config, c10::Device device, c10::ScalarType dtype) {
  seed_default_generator(device);
  VideoModelPtr model = config.build(/*initialise=*/false);
  for (const auto& item : model->named_parameters()) {
    const auto storage = at::TensorOptions(model->kept_dtype(item.key(), dtype)).device(device);
    item.value().set_data(at::empty(item.value().sizes(), storage));
  }
  model->initialise();
  model->fill_head();
  return model;
}

at::Tensor even_routers(VideoModel& model, VideoModelInput input, c10::ScalarType dtype) {
  constexpr int64_t kSample = 4096;  // rows per layer
  if (!model.config().attention().uses_router()) return {};
  const at::NoGradGuard no_grad;
  auto parameters = model.named_parameters();
  const AttentionObserver even = [&](int64_t layer, const at::Tensor& x, const at::Tensor&, const at::Tensor&,
                                     const at::Tensor&) {
    const at::Tensor* weight = parameters.find(router_prefix(layer) + "weight");
    if (!weight) return;
    const at::Tensor rows = at::randint(x.size(0), {kSample}, random_stream(0, "sample", layer, x.device()),
                                        at::TensorOptions(at::kLong).device(x.device()));
    const at::Tensor logits = x.index_select(0, rows).to(weight->scalar_type()).matmul(weight->t());  // [kSample, M]
    parameters.find(router_prefix(layer) + "bias")->copy_(balance_offsets(logits));
  };
  input.observer = even;
  return model.forward(input, dtype).group_histogram;
}

void even_routers(VideoModel& model, const VideoShape& video, c10::Device device, c10::ScalarType dtype) {
  if (!model.config().attention().uses_router()) return;
  even_routers(model, random_input(model.config(), {video}, device, dtype), dtype);
}

void share_routers(const VideoModel& model, const ProcessGroup& ranks) {
  for (const auto& item : model.named_parameters())
    if (is_router(item.key())) ranks.broadcast(item.value().detach(), 0);
}

void stream_blocks(VideoModel& model, c10::Device device) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> values;
  for (const at::Tensor& parameter : model.parameters()) values.push_back(parameter.detach());
  model.keep_blocks_on_host(device);
  std::vector<at::Tensor> parameters = model.parameters();
  for (size_t i = 0; i < values.size(); ++i)
    if (parameters[i].data_ptr() != values[i].data_ptr()) parameters[i].copy_(values[i]);
  model.stream_blocks();
}

TextEncoder random_text_encoder(const TextEncoderConfig& config, c10::Device device, c10::ScalarType dtype) {
  TextEncoder encoder(config, /*initialise=*/false);
  for (at::Tensor& parameter : encoder->parameters())
    parameter.set_data(at::empty(parameter.sizes(), at::TensorOptions(dtype).device(device)));
  encoder->initialise();
  return encoder;
}

at::Tensor random_text(const VideoModelConfig& config, int64_t shots, c10::Device device, c10::ScalarType dtype) {
  const Conditioning conditioning = config.conditioning();
  return random_tensor({shots, conditioning.text_tokens, conditioning.text_dim}, 0, device, dtype);
}

std::vector<at::Tensor> random_condition(const VideoModelConfig& config, const std::vector<VideoShape>& videos,
                                         c10::Device device) {
  std::vector<at::Tensor> conditions;
  const int64_t channels = config.conditioning().channels;
  if (channels == 0) return conditions;
  for (const VideoShape& video : videos) {
    std::vector<int64_t> shape = config.latent_shape(video);
    shape[0] = channels;
    conditions.push_back(random_tensor(shape, 0, device, at::kFloat));
  }
  return conditions;
}

ImageTokens random_image_tokens(const VideoModelConfig& config, int64_t shots, c10::Device device,
                                c10::ScalarType dtype) {
  const int64_t width = config.conditioning().image_dim, tokens = config.shape().image_tokens;
  if (width == 0) return {};
  return {random_tensor({shots * tokens, width}, 0, device, dtype), std::vector<int64_t>(shots, tokens)};
}

VideoModelInput random_input(const VideoModelConfig& config, const std::vector<VideoShape>& videos, c10::Device device,
                             c10::ScalarType dtype) {
  VideoModelInput input;
  input.layout = Layout{videos};
  for (const VideoShape& video : videos)
    input.latents.push_back(
        random_tensor(config.latent_shape(video), static_cast<int64_t>(input.latents.size()) + 1, device, at::kFloat));
  input.timestep = at::full({static_cast<int64_t>(videos.size())}, 500.0, input.latents[0].options());
  input.text = random_text(config, input.layout.shots(), device, dtype);
  input.condition = random_condition(config, videos, device);
  input.image = random_image_tokens(config, input.layout.shots(), device, dtype);
  return input;
}

}  // namespace moga
