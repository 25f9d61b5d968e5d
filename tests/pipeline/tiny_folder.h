// One tiny model for all tests of a program: written once, loaded as often as a test likes.
#pragma once

#include "moga/pipeline/denoise.h"
#include "tests/support/folder.h"
#include "tests/support/tiny_model.h"

namespace moga::test {

inline const std::filesystem::path& tiny_folder() {
  static const Folder folder;
  static const bool written = (write_tiny_model(folder.path()), true);
  (void)written;
  return folder.path();
}

inline Models tiny_models() { return load_models(tiny_folder(), at::kCPU, at::kFloat); }

// Both stages: prompts, then latents.
inline std::vector<at::Tensor> denoised(Models& models, const std::vector<VideoRequest>& requests,
                                        const DenoiseOptions& options) {
  return denoise(models, requests, encode_prompts(models, requests, options.sampler), options);
}

}  // namespace moga::test
