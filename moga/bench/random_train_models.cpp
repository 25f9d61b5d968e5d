// See random_train_models.h.
#include "moga/bench/random_train_models.h"

#include "moga/bench/random_model.h"

namespace moga {

TrainModels random_train_models(const TrainConfig& config, c10::Device device) {
  TrainModels models;
  models.transformer = random_video_model(*config.transformer, device, c10::kFloat);
  models.transformer->set_recompute(config.recompute);
  if (config.text == TextSource::kStored) return models;
  models.text_encoder = random_text_encoder(config.text_encoder, device, c10::kFloat);
  for (at::Tensor& weight : models.text_encoder->parameters()) weight.requires_grad_(config.train_text_encoder);
  return models;
}

}  // namespace moga
