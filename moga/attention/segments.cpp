// See segments.h. Neighbouring vectors with equally many rows are merged into one segment.
#include "moga/attention/segments.h"

#include <algorithm>

#include "moga/core/check.h"

namespace moga {
namespace {

void append(Segments& segments, const Segment& next) {
  if (!segments.empty()) {
    Segment& last = segments.back();
    if (last.rows == next.rows && last.end_vector() == next.first_vector) {
      last.vectors += next.vectors;
      return;
    }
  }
  segments.push_back(next);
}

}  // namespace

Segments video_segments(const Layout& layout) {
  Segments segments;
  int64_t vector = 0, row = 0;
  for (const VideoShape& video : layout.videos) {
    append(segments, {vector++, 1, row, video.tokens()});
    row += video.tokens();
  }
  return segments;
}

Segments frame_segments(const Layout& layout) {
  Segments segments;
  int64_t vector = 0, row = 0;
  for (const VideoShape& video : layout.videos) {
    append(segments, {vector, video.frames, row, video.frame_tokens()});
    vector += video.frames;
    row += video.tokens();
  }
  return segments;
}

Segments shot_segments(const Layout& layout) {
  Segments segments;
  int64_t vector = 0, row = 0;
  for (const VideoShape& video : layout.videos)
    for (int64_t shot = 0; shot < video.shots(); ++shot) {
      const int64_t rows = (video.begin_of_shot(shot + 1) - video.begin_of_shot(shot)) * video.frame_tokens();
      append(segments, {vector++, 1, row, rows});
      row += rows;
    }
  return segments;
}

Segments slice_of(const Segments& segments, int64_t first_row, int64_t rows) {
  const int64_t end_row = first_row + rows;
  check(first_row >= 0 && rows >= 0 && end_row <= (segments.empty() ? 0 : segments.back().end_row()),
        "segments: a slice of rows ", first_row, " to ", end_row, " of a batch of ",
        segments.empty() ? 0 : segments.back().end_row());
  Segments slice;
  for (const Segment& segment : segments)
    for (int64_t i = 0; i < segment.vectors; ++i) {
      const int64_t begin = std::max(segment.first_row + i * segment.rows, first_row);
      const int64_t end = std::min(segment.first_row + (i + 1) * segment.rows, end_row);
      if (begin < end) append(slice, {segment.first_vector + i, 1, begin - first_row, end - begin});
    }
  return slice;
}

void check_segments(const char* what, const Segments& segments, int64_t rows, int64_t vectors) {
  int64_t row = 0, vector = 0;
  for (const Segment& segment : segments) {
    check(segment.first_row == row, what, ": a segment starts at row ", segment.first_row, ", expected ", row);
    check(segment.first_vector >= vector, what, ": a segment starts at vector ", segment.first_vector,
          ", expected at least ", vector);
    row = segment.end_row();
    vector = segment.end_vector();
  }
  check(row == rows, what, ": ", rows, " rows, the segments have ", row);
  check(vector <= vectors, what, ": ", vectors, " vectors, the segments use ", vector);
}

}  // namespace moga
