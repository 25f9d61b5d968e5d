// See random_train_models.h.
#include "moga/bench/random_train_models.h"

#include <ATen/ATen.h>

#include "moga/bench/random_model.h"
#include "moga/bench/random_piece.h"

namespace moga {

const FlowConfig kHalfway = {.timesteps = Timesteps::kLogitNormal, .mean = 0, .deviation = 1e-9, .shift = 1};

TrainModels random_train_models(const TrainConfig& config, c10::Device device) {
  TrainModels models;
  const bool narrow = config.lora.enabled() && config.weights == Storage::kBfloat16;  // frozen weights have no masters
  models.transformer = random_video_model(*config.transformer, device, narrow ? c10::kBFloat16 : c10::kFloat);
  if (config.lora.enabled()) train_low_rank(*models.transformer, config.lora, device);
  models.transformer->set_recompute(config.recompute);
  if (config.text == TextSource::kStored) return models;
  models.text_encoder = random_text_encoder(config.text_encoder, device, c10::kFloat);
  for (at::Tensor& weight : models.text_encoder->parameters()) weight.requires_grad_(config.train_text_encoder);
  return models;
}

at::Tensor even_train_routers(const TrainConfig& config, const TrainModels& models, const VideoShape& video,
                              c10::ScalarType dtype) {
  constexpr double kTime = 0.5;
  TrainConfig stored = config;  // random embeddings serve instead of the text encoder's
  stored.text = TextSource::kStored;
  const c10::Device device = models.transformer->parameters().front().device();
  const TrainBatch batch = random_piece({stored, video, 1}, device, dtype);
  const at::Tensor noise = random_tensor(batch.latents.values.sizes(), 1, device, at::kFloat);
  const PackedLatents noisy = {at::lerp(batch.latents.values, noise, kTime), batch.latents.shapes};
  return even_routers(*models.transformer,
                      {.latents = noisy.views(),
                       .timestep = at::full({1}, 1000 * kTime, noise.options()),
                       .text = batch.text,
                       .layout = batch.layout,
                       .condition = batch.condition,
                       .image = batch.image},
                      dtype);
}

}  // namespace moga
