// Watermarks and subtitles: what stays in place while the picture moves.
//
// Over the frames of a shot, or of a film with several shots, the gradient g of luma is averaged. Where |mean g| is
// nearly as large as mean |g|, an edge stays. Cells of 8 x 8 pixels whose edges stay, joined with their neighbours, are
// a mark if they run both ways, lie near the picture's edge, are few, and most other edges move; otherwise nothing can
// be said: the camera stands still. Subtitles that change within a shot are not found: an OCR tool finds them.
#pragma once

#include <vector>

#include "moga/data/films/picture_scores.h"
#include "moga/data/films/rectangles.h"

namespace moga {

class MarkFinder {
 public:
  void add(const LumaFrame& frame);
  // Adds the means of another finder, with the weight of one frame.
  void add(const MarkFinder& other);
  int64_t frames() const { return frames_; }

  struct Marks {
    bool moves = false;  // whether the picture moves enough to tell
    std::vector<Crop> boxes;
  };
  // Within `picture`, both in pixels of the frames.
  Marks marks(const Crop& picture) const;

 private:
  int64_t width_ = 0, height_ = 0, frames_ = 0;
  std::vector<float> across_, down_, size_;  // sums of g and of |g|
};

}  // namespace moga
