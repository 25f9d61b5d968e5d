// A batch of random latents for train steps that are measured or rehearsed. Private to the folder.
#pragma once

#include "moga/train/video/config.h"
#include "moga/train/video/train_data.h"

namespace moga {

struct RandomPiece {
  const TrainConfig& config;
  const VideoShape& video;
  int64_t videos = 1;
};

// Latents [C_z, F, Y', X'] of `videos` videos, N(0, 1); captions of full length, as text tokens or, where the config
// reads stored text, as embeddings in `dtype`. Where the model takes images, each shot has one.
TrainBatch random_piece(const RandomPiece& piece, c10::Device device, c10::ScalarType dtype);

}  // namespace moga
