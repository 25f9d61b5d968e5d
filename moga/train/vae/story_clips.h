// A pool of stories. Rendering all of them again would delay a train step, so one is renewed at a time. Its content
// follows from (seed, purpose, count of stories drawn so far).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "moga/data/story/ahead.h"
#include "moga/train/vae/clip_pool.h"

namespace moga {

class StoryClips : public ClipPool {
 public:
  struct Source {
    StoryConfig story;
    uint64_t seed = 0;
    std::string purpose;  // names the random stream: training and held-out stories differ
    int64_t stories = 1;  // held at once
  };
  StoryClips(Source source, at::Device device);

  int64_t height() const override { return source_.story.height; }
  int64_t width() const override { return source_.story.width; }
  bool has_detail() const override { return true; }
  void advance(int64_t drawn) override;
  int64_t drawn() const { return drawn_; }
  Clips draw(const ClipShape& shape, at::Generator random) const override;
  Clips whole(int64_t first, int64_t clips, int64_t frames) const override;

 private:
  struct Cut {
    int64_t story, frame, row, column;
  };
  Clips cut(const std::vector<Cut>& cuts, const ClipShape& shape) const;

  Source source_;
  StoryAhead ahead_;
  int64_t drawn_ = 0;
  std::vector<at::Tensor> pool_;  // uint8 [T, 4, Y, X]: red, green, blue, detail
};

}  // namespace moga
