// Segments: which rows of a packed batch share a vector, such as the timestep's modulation or a gate.
//
//   vector first_vector + i belongs to the rows [first_row + i · rows, first_row + (i + 1) · rows),  0 ≤ i < vectors
//
// One segment is one broadcast view or one kernel launch. Per-video vectors, per-frame vectors (Wan2.2-5B) and the
// slice of a video that a rank holds are all Segments. Host values; they do not say what the vectors mean.
#pragma once

#include <cstdint>
#include <vector>

#include "moga/attention/layout.h"

namespace moga {

struct Segment {
  int64_t first_vector = 0;
  int64_t vectors = 0;
  int64_t first_row = 0;
  int64_t rows = 0;  // of each vector

  int64_t end_vector() const { return first_vector + vectors; }
  int64_t end_row() const { return first_row + vectors * rows; }
  bool operator==(const Segment&) const = default;
};

// In the order of their rows and of their vectors; no vector is in two segments.
using Segments = std::vector<Segment>;

Segments video_segments(const Layout& layout);  // one vector per video
Segments frame_segments(const Layout& layout);  // one vector per latent frame
Segments shot_segments(const Layout& layout);   // one vector per shot, numbered over all videos

// The slice [first_row, first_row + rows) of the batch: rows are counted from first_row, vectors keep their numbers.
Segments slice_of(const Segments& segments, int64_t first_row, int64_t rows);

// Throws unless the segments hold each of the rows 0 … rows − 1 once, with vectors among 0 … vectors − 1.
void check_segments(const char* what, const Segments& segments, int64_t rows, int64_t vectors);

}  // namespace moga
