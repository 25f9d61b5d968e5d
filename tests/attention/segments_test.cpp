// Segments of videos, of frames, and of a rank's slice.
#include "moga/attention/segments.h"

#include <gtest/gtest.h>

#include "moga/core/check.h"
#include "tests/support/error.h"

namespace moga {
namespace {

// 12, 12, 5 tokens; 6, 4, 5 tokens a frame.
const Layout kLayout = {{{2, 2, 3, {}}, {3, 2, 2, {}}, {1, 1, 5, {}}}};

// The vector of each row.
std::vector<int64_t> vector_of_row(const Segments& segments) {
  std::vector<int64_t> vectors;
  for (const Segment& segment : segments)
    for (int64_t i = 0; i < segment.vectors * segment.rows; ++i)
      vectors.push_back(segment.first_vector + i / segment.rows);
  return vectors;
}

TEST(Segments, OneVectorPerShotOfAllVideos) {
  const Layout layout{{{3, 2, 2, {1, 2}}, {2, 2, 1, {}}}};
  EXPECT_EQ(shot_segments(layout), (Segments{{0, 1, 0, 4}, {1, 1, 4, 8}, {2, 1, 12, 4}}));
  EXPECT_EQ(slice_of(shot_segments(layout), 6, 8), (Segments{{1, 1, 0, 6}, {2, 1, 6, 2}}));
}

TEST(Segments, OneVectorPerVideoOrPerFrame) {
  EXPECT_EQ(video_segments(kLayout), (Segments{{0, 2, 0, 12}, {2, 1, 24, 5}}));
  EXPECT_EQ(frame_segments(kLayout), (Segments{{0, 2, 0, 6}, {2, 3, 12, 4}, {5, 1, 24, 5}}));
}

TEST(Segments, ASliceKeepsTheVectorsOfItsRows) {
  for (const Segments& segments : {video_segments(kLayout), frame_segments(kLayout)}) {
    const std::vector<int64_t> all = vector_of_row(segments);
    for (int64_t begin = 0; begin <= 29; ++begin)
      for (int64_t end = begin; end <= 29; ++end) {
        const Segments slice = slice_of(segments, begin, end - begin);
        check_segments("slice", slice, end - begin, 6);
        EXPECT_EQ(vector_of_row(slice), std::vector<int64_t>(all.begin() + begin, all.begin() + end));
      }
  }
}

TEST(Segments, ASliceOfAVideoIsAtMostThreeSegmentsOfFrames) {
  const Segments frames = frame_segments({{{10, 2, 3, {}}}});
  EXPECT_EQ(slice_of(frames, 8, 30), (Segments{{1, 1, 0, 4}, {2, 4, 4, 6}, {6, 1, 28, 2}}));
}

TEST(Segments, WhatDoesNotFitIsNamed) {
  using test::error_of;
  const Segments segments = video_segments(kLayout);
  EXPECT_EQ(error_of([&] { check_segments("norm", segments, 28, 3); }), "norm: 28 rows, the segments have 29");
  EXPECT_EQ(error_of([&] { check_segments("norm", segments, 29, 2); }), "norm: 2 vectors, the segments use 3");
  EXPECT_EQ(error_of([&] {
              check_segments("norm", {{0, 1, 3, 2}}, 5, 1);
            }),
            "norm: a segment starts at row 3, expected 0");
  EXPECT_EQ(error_of([&] {
              check_segments("norm", {{1, 1, 0, 2}, {0, 1, 2, 2}}, 4, 2);
            }),
            "norm: a segment starts at vector 0, expected at least 2");
  EXPECT_EQ(error_of([&] { slice_of(segments, 20, 10); }), "segments: a slice of rows 20 to 30 of a batch of 29");
}

}  // namespace
}  // namespace moga
