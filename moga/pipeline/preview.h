// Previews of a film while it is denoised: the current estimate of the clean latents, x_0 = x_t − t · v, decoded by the
// codec's linear preview decoder, as a contact sheet and a small film with one picture per latent frame:
//
//   film.mp4 → film.preview.png, film.preview.mp4
//
// Both are replaced whole every so many steps. They are written by a thread while the next steps are computed; what
// cannot be written is one line in the log, and the run goes on without previews.
#pragma once

#include <filesystem>
#include <future>
#include <vector>

#include "moga/model/preview_decoder.h"

namespace moga {

struct PreviewFiles {
  std::filesystem::path sheet, film;
};
PreviewFiles preview_files(const std::filesystem::path& video);

struct PreviewOptions {
  int64_t every = 0;  // sampler steps; 0: none
  PreviewFiles files = {};
  PreviewDecoder decoder = {};
};

class Preview {
 public:
  // `latent_shot_frames` of the film; `latent_fps`: its latent frames per second.
  Preview(PreviewOptions options, std::vector<int64_t> latent_shot_frames, double latent_fps);
  ~Preview();
  Preview(const Preview&) = delete;
  Preview& operator=(const Preview&) = delete;

  // After `steps` steps; estimate [z, F, Y', X'], normalised, on any device.
  void show(int64_t steps, const at::Tensor& estimate);
  void finish();  // waits for the files of the last one

 private:
  void settle();

  PreviewOptions options_;
  std::vector<int64_t> shot_frames_;
  double fps_;
  std::future<void> writing_;
  bool failed_ = false;
};

}  // namespace moga
