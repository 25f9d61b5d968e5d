// model_index.json: which pipeline of diffusers a model folder is made for. Text to video and image to video with one
// transformer or Wan2.2's two experts, and Wan2.2-TI2V-5B, are run; any other pipeline, part or class is refused by
// name, before a weight is read.
#pragma once

#include <filesystem>
#include <optional>

namespace moga {

struct ModelIndex {
  // Of a model of two experts: transformer/ computes timesteps from boundary_ratio · 1000 on, transformer_2/ those
  // below.
  std::optional<double> boundary_ratio;
  // Whether the pipeline shows given images; unset in a folder without the file.
  std::optional<bool> image_to_video;
  // Wan2.2-TI2V-5B: given images take the place of their frames' latents, at timestep 0; it also runs without any.
  bool expand_timesteps = false;

  bool two_experts() const { return boundary_ratio.has_value(); }
};

// Throws one line with the file, what was found and what was expected, and what the model is where that can be told
// (VACE, Wan2.2-Animate). A folder without the file passes, its parts are checked by their own configs; so it cannot
// have a transformer_2/, whose boundary only the file names.
ModelIndex load_model_index(const std::filesystem::path& folder);

}  // namespace moga
