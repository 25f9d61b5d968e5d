// See random_train_models.h.
#include "moga/bench/random_train_models.h"

#include "moga/bench/random_model.h"

namespace moga {

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

}  // namespace moga
