// The check of what every family's model is given: latents, timesteps and text of a packed batch, against its layout.
// Families add what they are given besides.
#pragma once

#include "moga/core/check.h"
#include "moga/model/video_model.h"

namespace moga {

// Throws one line that begins with "transformer: ".
inline void check_packed_input(const VideoModelConfig& config, const VideoModelInput& input) {
  const Layout& layout = input.layout;
  layout.validate();
  const int64_t videos = static_cast<int64_t>(layout.videos.size()), shots = layout.shots();
  const Conditioning wanted = config.conditioning();
  check(static_cast<int64_t>(input.latents.size()) == videos, "transformer: ", input.latents.size(),
        " latents for a layout of ", videos, " videos");
  check(input.timestep.dim() == 1 && input.timestep.size(0) == videos, "transformer: timestep ", input.timestep.sizes(),
        ", expected [", videos, "]");
  check(input.sequence.size() == 1 || !input.observer, "transformer: an observer sees all tokens of the videos, and ",
        input.sequence.size(), " ranks share them");
  check(input.text.dim() == 3 && input.text.size(0) == shots && input.text.size(2) == wanted.text_dim,
        "transformer: text ", input.text.sizes(), ", expected [", shots, " (shots), ", wanted.text_tokens, ", ",
        wanted.text_dim, "]");
  check(input.text_lengths.empty() || static_cast<int64_t>(input.text_lengths.size()) == shots,
        "transformer: ", input.text_lengths.size(), " text lengths for ", shots, " shots");
  for (const int64_t length : input.text_lengths)
    check(length > 0 && length <= input.text.size(1), "transformer: a caption of ", length,
          " text tokens, expected 1 to ", input.text.size(1));
  for (int64_t video = 0; video < videos; ++video) {
    const std::vector<int64_t> expected = config.latent_shape(layout.videos[video]);
    check(input.latents[video].sizes() == expected, "transformer: latent ", video, " is ", input.latents[video].sizes(),
          ", its layout says ", at::IntArrayRef(expected));
  }
}

}  // namespace moga
