// What `moga plan` and `moga generate` plan: a script with a model.
#pragma once

#include <set>

#include "apps/model_options.h"
#include "moga/bench/plan.h"
#include "moga/data/script.h"
#include "moga/pipeline/denoise.h"

namespace moga {

inline GenerationPlanRequest plan_request(ModelConfigs configs, const ModelOptions& options, const Script& script) {
  apply_settings(configs, options.all_settings(script.set));
  GenerationPlanRequest request;
  request.transformer = configs.transformer;
  request.text_encoder = configs.text_encoder;
  request.vae = configs.vae;
  request.vae_dtype = options.compute_vae_dtype();
  request.sampler = options.sampler(configs.sampler);
  request.video = video_shape(script.size[0], script.size[1], script.latent_shot_frames());
  const std::vector<std::string> captions = script.captions();
  std::set<std::string> distinct(captions.begin(), captions.end());
  if (request.sampler.guidance != 1.0) distinct.insert(script.negative_prompt);
  request.captions = static_cast<int64_t>(distinct.size());
  request.fps = script.fps;
  return request;
}

}  // namespace moga
