// A pool of clips of prepared films. Item i is `frames` frames of a sample, both chosen by (seed, purpose, i): every
// place of every sample is equally likely. Films are decoded by threads ahead of their use.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "moga/data/dataset/read_ahead.h"
#include "moga/data/films/prepared.h"
#include "moga/train/vae/clip_pool.h"

namespace moga {

class FilmClips : public ClipPool {
 public:
  struct Source {
    std::vector<Record> samples;
    double fps = 16;
    uint64_t seed = 0;
    std::string purpose;  // names the random stream
    int64_t clips = 1;    // held at once
    int64_t frames = 1;   // of each
  };
  // Throws when no sample has so many frames. Shorter ones are left out.
  FilmClips(Source source, at::Device device);

  int64_t height() const override { return height_; }
  int64_t width() const override { return width_; }
  bool has_detail() const override { return false; }
  bool has_one_size() const { return one_size_; }
  size_t left_out() const { return left_out_; }
  void advance(int64_t drawn) override;
  Clips draw(const ClipShape& shape, at::Generator random) const override;
  Clips whole(int64_t first, int64_t clips, int64_t frames) const override;

 private:
  at::Tensor read(int64_t item) const;

  Source source_;
  at::Device device_;
  int64_t height_ = 0, width_ = 0;  // of the smallest
  bool one_size_ = true;
  size_t left_out_ = 0;
  std::vector<int64_t> places_;  // of each sample, and those before it
  int64_t drawn_ = 0;
  std::vector<at::Tensor> pool_;                // uint8 [T, 3, Y, X]
  std::optional<ReadAhead<at::Tensor>> ahead_;  // last: its threads read the members above
};

}  // namespace moga
