// Windows against a brute force that asks of every pair of tokens, by their coordinates alone, whether one may see the
// other.
#include "moga/attention/static_groups.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <set>

#include "tests/support/error.h"

namespace moga::test {
namespace {

struct Place {
  int64_t frame, row, column;
};

Place place(const VideoShape& video, int64_t token) {
  return {token / video.frame_tokens(), token / video.columns % video.rows, token % video.columns};
}

// The index of the piece that contains `at` when [0, total) is divided into `parts` near-equal pieces, longer ones
// first; independent of equal_cuts.
int64_t piece(int64_t at, int64_t total, int64_t parts) {
  const int64_t longer = total % parts, length = total / parts + 1;
  return at < longer * length ? at / length : longer + (at - longer * length) / (length - 1);
}

// (first frame, one past the last frame) of the run that contains `frame`, and whether the run touches a cut at each
// end.
struct Run {
  int64_t first, last;
  bool cut_before, cut_after;
};
Run run_of(const VideoShape& video, int64_t frame, int64_t longest) {
  int64_t begin = 0, shot = 0;
  while (frame >= begin + video.shot_frames[shot]) begin += video.shot_frames[shot++];
  const int64_t length = video.shot_frames[shot], parts = (length + longest - 1) / longest;
  Run run{frame, frame + 1, false, false};
  const auto same = [&](int64_t other) {
    return other >= begin && other < begin + length &&
           piece(other - begin, length, parts) == piece(frame - begin, length, parts);
  };
  while (same(run.first - 1)) --run.first;
  while (same(run.last)) ++run.last;
  run.cut_before = run.first == begin && begin > 0;
  run.cut_after = run.last == begin + length && run.last < video.frames;
  return run;
}

bool may_see(const VideoShape& video, const WindowConfig& config, int64_t query, int64_t key) {
  const Place a = place(video, query), b = place(video, key);
  if (piece(a.row, video.rows, config.rows) != piece(b.row, video.rows, config.rows)) return false;
  if (piece(a.column, video.columns, config.columns) != piece(b.column, video.columns, config.columns)) return false;
  const Run run = run_of(video, a.frame, config.run_frames);
  const int64_t first = run.first - (run.cut_before ? config.boundary_frames : 0);
  const int64_t last = run.last + (run.cut_after ? config.boundary_frames : 0);
  return b.frame >= first && b.frame < last;
}

std::set<std::pair<int64_t, int64_t>> pairs(const Grouping& grouping) {
  std::set<std::pair<int64_t, int64_t>> result;
  const int32_t *query = grouping.query.offsets.data_ptr<int32_t>(), *key = grouping.key.offsets.data_ptr<int32_t>();
  const int64_t *queries = grouping.query.index.data_ptr<int64_t>(), *keys = grouping.key.index.data_ptr<int64_t>();
  for (int64_t g = 0; g < grouping.groups(); ++g)
    for (int64_t i = query[g]; i < query[g + 1]; ++i)
      for (int64_t j = key[g]; j < key[g + 1]; ++j) EXPECT_TRUE(result.emplace(queries[i], keys[j]).second);
  return result;
}

void expect_brute_force(const VideoShape& video, const WindowConfig& config) {
  std::set<std::pair<int64_t, int64_t>> expected;
  for (int64_t query = 0; query < video.tokens(); ++query)
    for (int64_t key = 0; key < video.tokens(); ++key)
      if (may_see(video, config, query, key)) expected.emplace(query, key);
  EXPECT_EQ(pairs(window_groups({{video}}, config, at::kCPU)), expected);
}

TEST(WindowGroups, EqualBruteForceOnCoordinates) {
  expect_brute_force({7, 2, 2, {3, 4}}, {2, 2, 2, 0});
  expect_brute_force({9, 3, 5, {4, 5}}, {2, 2, 3, 2});
  expect_brute_force({6, 4, 3, {6}}, {2, 3, 4, 2});
}

TEST(WindowGroups, BoundaryKeysReachAcrossShortShotsButNotBeyondTheVideo) {
  expect_brute_force({6, 2, 2, {2, 1, 3}}, {1, 2, 10, 2});
  expect_brute_force({4, 2, 2, {1, 1, 1, 1}}, {2, 1, 10, 3});
  const auto windows = windows_of({6, 2, 2, {2, 1, 3}}, {1, 1, 10, 2});
  EXPECT_EQ(windows[0].key_first_frame, 0);  // the video's begin is no boundary
  EXPECT_EQ(windows[0].key_frames, 4);
  EXPECT_EQ(windows[1].key_first_frame, 0);
  EXPECT_EQ(windows[1].key_frames, 5);
}

TEST(WindowGroups, OnlyTheRunAtACutTakesKeysBeyondIt) {
  const auto windows = windows_of({8, 1, 1, {6, 2}}, {1, 1, 3, 2});
  ASSERT_EQ(windows.size(), 3u);
  EXPECT_EQ(windows[0].key_frames, 3);
  EXPECT_EQ(windows[1].key_frames, 5);
  EXPECT_EQ(windows[2].key_first_frame, 4);
}

TEST(WindowGroups, EveryTokenIsAQueryOnceAndStaysInItsVideo) {
  const Layout layout{{{5, 4, 6, {2, 3}}, {3, 5, 3, {}}}};
  const Grouping grouping = window_groups(layout, {2, 2, 2, 2}, at::kCPU);
  EXPECT_TRUE(at::equal(std::get<0>(grouping.query.index.sort()), at::arange(layout.tokens())));
  const Grouping second = window_groups({{layout.videos[1]}}, {2, 2, 2, 2}, at::kCPU);
  const int64_t first_tokens = layout.videos[0].tokens();
  EXPECT_TRUE(at::equal(grouping.key.index.slice(0, -second.key.count) - first_tokens, second.key.index));
}

TEST(WindowGroups, CutsAreAsEqualAsTheyCome) {
  EXPECT_EQ(equal_cuts(11, 4), (std::vector<int64_t>{3, 3, 3, 2}));
  EXPECT_EQ(equal_cuts(4, 2), (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(equal_cuts(2, 3), (std::vector<int64_t>{1, 1, 0}));
}

TEST(WindowGroups, RefusesMoreWindowsThanRows) {
  const auto error = [](int64_t rows, const WindowConfig& config) {
    return error_of([&] { window_groups({{{2, rows, 4, {}}}}, config, at::kCPU); });
  };
  EXPECT_EQ(error(1, {2, 2, 10, 2}), "a frame of 1×4 tokens cannot be cut into 2×2 windows");
  EXPECT_EQ(error(4, {2, 2, 0, 2}), "run_frames = 0, expected 1 or more");
  EXPECT_EQ(error(4, {2, 2, 1, -1}), "boundary_frames = -1, expected 0 or more");
}

}  // namespace
}  // namespace moga::test
