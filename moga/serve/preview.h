// Small pictures of a film that is being generated, for those who wait.
//
// While it is denoised: one frame of each shot, decoded by itself from the newest estimate of the latents. While it is
// decoded: the newest frame. Pictures may take a twentieth of the time.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <vector>

#include "moga/model/codec.h"

namespace moga {

class Previews {
 public:
  // Writes JPEGs to `file`, and calls `written` after each.
  Previews(std::vector<int64_t> latent_shot_frames, std::filesystem::path file, std::function<void()> written);

  void see_latents(const at::Tensor& latents, Codec& codec);  // [z, F, Y', X'], normalised
  void see_frames(const at::Tensor& frames);                  // uint8 [T, 3, Y, X]

 private:
  using Clock = std::chrono::steady_clock;
  void make(const std::function<at::Tensor()>& picture);

  std::vector<int64_t> shot_frames_;
  std::filesystem::path file_;
  std::function<void()> written_;
  Clock::time_point next_;  // no picture before
  bool off_ = false;        // one could not be made
};

}  // namespace moga
