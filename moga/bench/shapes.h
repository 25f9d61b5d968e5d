// The models that commands name for planning and counting: published sizes, configs, model folders.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "moga/model/codec.h"
#include "moga/model/image/image_encoder.h"
#include "moga/model/video_model.h"

namespace moga {

struct NamedModel {
  Cloned<VideoModelConfig> model;
  Cloned<CodecConfig> codec;
  double boundary_ratio = 0;  // of two experts of this config; 0: one
  std::optional<ImageEncoderConfig> image_encoder = {};
  bool expand_timesteps = false;  // of a published size (model_index.h)

  Strides pixels_per_token() const { return codec->strides() * model->patch(); }
};

// A published size (moga/model/registry.h), or the path of a config.json or of a model folder (transformer/config.json
// in it). The codec is the folder's or, where there is none, the one that the model's family is made for.
NamedModel named_model(const std::string& name);

// The sizes that reports have of a video and of a model's attention, as JSON.
nlohmann::ordered_json video_sizes(const VideoShape& video);
nlohmann::ordered_json attention_sizes(const VisualAttentionConfig& attention);

}  // namespace moga
