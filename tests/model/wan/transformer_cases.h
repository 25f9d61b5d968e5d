// Small transformers and inputs that the tests of the transformer share.
#pragma once

#include "moga/model/wan/transformer.h"

namespace moga::test {

// 2 heads of 16, 2 layers, text of 8 rows × 16, 4 latent channels; MoGA of M = 3 groups, 2 × 2 windows, runs of 2
// frames.
TransformerConfig small_config();
TransformerConfig full_attention(TransformerConfig config);

// Every parameter away from zero, so that the head and all branches matter; from the default generator.
Transformer random_transformer(const TransformerConfig& config);

// Random latents, timesteps and texts for videos of these shapes.
VideoModelInput random_input(const TransformerConfig& config, const std::vector<VideoShape>& videos);

// The part of `input` that belongs to one video.
VideoModelInput alone(const VideoModelInput& input, size_t video);

}  // namespace moga::test
