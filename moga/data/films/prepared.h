// What `moga prepare videos` left in its folder, for training on the films and captions themselves: samples that are
// not dropped (merge.jsonl), those of held-out films apart (encode.jsonl), and the rate of their frames (prepare.toml).
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "moga/data/films/manifest.h"

namespace moga {

struct PreparedFilms {
  double fps = 0;
  std::vector<Record> samples, held_out;  // lines of merge.jsonl
};
// Throws one line when the folder is not one of `moga prepare videos`, or has no samples to train on.
PreparedFilms read_prepared_films(const std::filesystem::path& folder);

// Pixel frames of all shots of a sample.
int64_t frames_of(const Record& sample);

// uint8 [count, 3, Y, X]: the frames first, first + 1, … of a sample, cropped and resized as its line says. `pinned`:
// in page-locked memory, for asynchronous copies to a GPU. `threads`: of the decoder; 0: one per core.
struct FrameReading {
  bool pinned = false;
  int threads = 0;
};
at::Tensor sample_frames(const Record& sample, int64_t first, int64_t count, double fps,
                         const FrameReading& reading = {});

// The captions of all shots that have one.
std::vector<std::string> captions_of(const std::vector<Record>& samples);

}  // namespace moga
