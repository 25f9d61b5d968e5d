// The image inputs that a model needs besides latents and text, and whether a data set stores them.
#pragma once

#include "moga/data/dataset/shards.h"
#include "moga/train/video/config.h"

namespace moga {

struct ImageNeeds {
  ImageForm form = ImageForm::kNone;
  bool optional = false;  // the model also trains on videos without images
  int64_t channels = 0;   // of the condition: mask and latents
  int64_t embedding = 0;  // width of the image encoder; 0: the model sees no embeddings
  // Learned positions of the embeddings of a first and a last frame; 0: none.
  int64_t pair_tokens = 0;
};

// Whether the model of config.init denoises around given frames (Wan2.2-TI2V-5B, ModelIndex::expand_timesteps).
bool expands_timesteps(const TrainConfig& config);

ImageNeeds image_needs(const TrainConfig& config);

// Throws one line that names the data set and the key of `moga prepare` to set.
void check_images(const StoredImages& stored, const ImageNeeds& needs, const std::string& folder);

}  // namespace moga
