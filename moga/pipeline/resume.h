// The state of an unfinished generation, in a file next to its video, so that a killed run continues after its last
// kept step as if it had never stopped, bit for bit on the same kind and number of devices.
//
// Kept are the sampler's state and what the run was made from. Text embeddings are computed again, and so are all
// frames: a half-written video cannot be continued. A file that was damaged or changed is refused.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <filesystem>
#include <memory>

#include "moga/pipeline/denoise.h"

namespace moga {

struct KeepConfig {
  std::filesystem::path path;  // a safetensors file; empty: nothing is kept
  bool resume = false;         // continue from the file, if it exists
  double seconds = 60;         // of denoising between two writes; shorter runs leave nothing
};

// The path of a video's kept state: "film.mp4.resume".
std::filesystem::path state_path(const std::filesystem::path& video);

// Throws when the file exists and is not to be resumed from: its contents may have taken hours.
void check_nothing_kept(const KeepConfig& config);

class KeptState {
 public:
  // Throws one line naming the first difference between the kept run and this one.
  KeptState(const KeepConfig& config, const Models& models, const VideoRequest& request, const SamplerConfig& sampler);
  // Valid during the lifetime of this object.
  Continuation continuation();
  // Call after an interrupt, perhaps within a step: keeps the last complete step if the run is long enough, and says
  // so.
  void keep_last();
  // Call after decoding failed: keeps the state after the last step, however short the run was.
  void keep_latents();

 private:
  bool due() const;
  void keep(const SampleState& state);
  void write(const SampleState& state);

  KeepConfig config_;
  int64_t steps_;
  std::shared_ptr<const nlohmann::json> run_;  // its identity
  std::optional<SampleState> start_;
  std::chrono::steady_clock::time_point written_;  // time of the last write, or of the start
  bool worth_keeping_ = false;                     // has run for config_.seconds, now or before it was killed
  int64_t kept_steps_ = 0;                         // in the file
  std::optional<SampleState> last_;                // after the last whole step of this run
};

// Everything the latents of a generation depend on: request, sampler, attention, dtype, and a fingerprint of the
// weights of text encoder (unless it is left out) and transformers. The VAE is included only where it encodes images,
// because the final run decodes all frames. Nor is the mesh: a run can be resumed on any number of GPUs, and bit for
// bit on the same number.
nlohmann::json generation_identity(const Models& models, const VideoRequest& request, const SamplerConfig& sampler,
                                   bool text_encoder = true);

// Call when the video is complete.
void remove_kept(const KeepConfig& config);

}  // namespace moga
