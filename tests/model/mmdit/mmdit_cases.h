// Small MMDiTs and inputs that the tests share, and the model once more in plain float64 operations.
#pragma once

#include "moga/model/mmdit/transformer.h"

namespace moga::test {

// 2 heads of 12, 2 layers, text of at most 6 rows × 16, 4 latent channels; MoGA of M = 3 groups, 2 × 2 windows in runs
// of 4 frames.
MmditConfig small_mmdit(JointScope joint = JointScope::kShot);

// Every parameter away from zero, so that the head and all branches matter; from the default generator.
Mmdit random_mmdit(const MmditConfig& config);

// Random latents, timesteps and captions of 1 to 6 text tokens, followed by rows of noise that no model may see.
VideoModelInput mmdit_input(const MmditConfig& config, const std::vector<VideoShape>& videos);
VideoModelInput to_double(VideoModelInput input);

// The velocities of all videos as block.h and transformer.h define them: dense attention with masks written from the
// definitions, one video after the other. Windows: frames of at most 4 per shot, even rows and columns.
std::vector<at::Tensor> plain_mmdit(const Mmdit& model, const VideoModelInput& input);

}  // namespace moga::test
