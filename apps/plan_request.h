// The plan of a script with a model, for `moga plan` and `moga generate`.
#pragma once

#include <set>

#include "apps/model_options.h"
#include "moga/bench/plan.h"
#include "moga/core/check.h"
#include "moga/data/script.h"
#include "moga/pipeline/denoise.h"

namespace moga {

// The flags of both commands that decide whether weights are streamed.
struct StreamOptions {
  bool stream = false, no_stream = false;

  void add(CLI::App& command) {
    auto* with = command.add_flag("--stream-weights", stream,
                                  "keep the transformer's blocks in host memory and copy each while the previous one "
                                  "computes (default: if they do not fit on the GPU)");
    command.add_flag("--no-stream-weights", no_stream, "keep the blocks on the GPU, or refuse the run")->excludes(with);
  }
  StreamWeights chosen(at::Device device) const {
    check(!stream || device.is_cuda(), "--stream-weights is for a GPU, the device is ", device);
    return stream ? StreamWeights::always : no_stream ? StreamWeights::never : StreamWeights::automatic;
  }
};

// A model's configs, overridden by an adapter's and a script's settings and then by the options. When they are wrong,
// those of each file are tried alone, so that an error in them names the file; not before, since an option may make a
// file's setting fit.
inline ModelConfigs with_settings(const ModelConfigs& own, const ModelOptions& options, const Script& script,
                                  const std::string& script_file) {
  ModelConfigs configs = own;
  try {
    apply_settings(configs, options.all_settings(script.set));
  } catch (const Error&) {
    ModelConfigs adapted = own, scripted = own;
    apply_settings(adapted, options.settings_of_adapter(), options.adapters.adapter.string());
    apply_settings(scripted, script.set, script_file);
    throw;
  }
  return configs;
}

// The request of one rank of several that denoise together, as `moga generate --gpus N` arranges them.
inline GenerationPlanRequest of_rank(GenerationPlanRequest request, int64_t ranks) {
  request.guidance_ranks = guidance_ranks(ranks, request.sampler.guided());
  request.sequence_ranks = ranks / request.guidance_ranks;
  return request;
}

// Latent frames up to the last shot with an image: what a model with expand_timesteps encodes.
inline int64_t image_frames(const ModelConfigs& configs, const Script& script) {
  if (!configs.expand_timesteps) return 0;
  const std::vector<int64_t> frames = script.latent_shot_frames(configs.pixels_per_token());
  int64_t begin = 0, encoded = 0;
  for (size_t shot = 0; shot < frames.size(); begin += frames[shot++])
    if (script.shot[shot].image) encoded = begin + 1;
  return encoded;
}

inline GenerationPlanRequest plan_request(const ModelConfigs& own, const ModelOptions& options,
                                          const StreamOptions& streaming, const Script& script,
                                          const std::string& script_file) {
  const ModelConfigs configs = with_settings(own, options, script, script_file);
  GenerationPlanRequest request;
  request.transformer = configs.transformer;
  request.text_encoder = configs.text_encoder;
  request.vae = configs.vae;
  request.vae_dtype = options.compute_vae_dtype();
  request.sampler = configs.sampler;
  request.transformer_2 = configs.transformer_2;
  request.boundary_ratio = configs.boundary_ratio;
  request.image_encoder = configs.image_encoder;
  request.image_frames = image_frames(configs, script);
  const Strides pixels = configs.pixels_per_token();
  request.video = video_shape({script.size[0], script.size[1]}, script.latent_shot_frames(pixels), pixels);
  const std::vector<std::string> captions = script.captions();
  std::set<std::string> distinct(captions.begin(), captions.end());
  if (request.sampler.guided()) distinct.insert(script.negative_text());
  request.captions = static_cast<int64_t>(distinct.size());
  request.fps = script.fps;
  request.stream_weights = streaming.chosen(options.place());
  return request;
}

}  // namespace moga
