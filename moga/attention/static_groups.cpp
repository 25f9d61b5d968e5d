// Window groups: each shot's frames are cut into runs, each frame into windows; keys reach across shot boundaries.
//
//   frames  | shot 0: run 0 | run 1 || shot 1: run 0 | …      || = shot boundary
//   keys of run 1           [——————~~]                        ~~ = boundary_frames beyond it, same window
//
// The frames of a group's keys are one range, so a window is a box of queries and a longer box of keys. Built on the
// host: lengths and rows follow from the layout alone.
#include "moga/attention/static_groups.h"

#include <algorithm>
#include <numeric>

#include "moga/core/check.h"

namespace moga {
namespace {

// The window's tokens in frames [first, first + frames) of the video whose tokens begin at row `base`.
void append_rows(std::vector<int64_t>& index, const VideoShape& video, int64_t base, const Window& window,
                 int64_t first, int64_t frames) {
  size_t at = index.size();
  index.resize(at + frames * window.rows * window.columns);
  for (int64_t frame = first; frame < first + frames; ++frame)
    for (int64_t row = window.row; row < window.row + window.rows; ++row, at += window.columns)
      std::iota(index.begin() + at, index.begin() + at + window.columns,
                base + (frame * video.rows + row) * video.columns + window.column);
}

// One per run, without a place in the frame.
std::vector<Window> runs_of(const VideoShape& video, const WindowConfig& config) {
  std::vector<Window> runs;
  for (int64_t shot = 0; shot < video.shots(); ++shot) {
    const int64_t begin = video.begin_of_shot(shot), end = video.begin_of_shot(shot + 1);
    const int64_t parts = (end - begin + config.run_frames - 1) / config.run_frames;
    int64_t first = begin;
    for (const int64_t frames : equal_cuts(end - begin, parts)) {
      const int64_t before = first == begin ? std::min(config.boundary_frames, first) : 0;
      const int64_t after = first + frames == end ? std::min(config.boundary_frames, video.frames - end) : 0;
      runs.push_back({first, frames, first - before, before + frames + after, 0, 0, 0, 0});
      first += frames;
    }
  }
  return runs;
}

}  // namespace

void WindowConfig::validate() const {
  check(rows > 0 && columns > 0, "a frame is cut into at least 1×1 windows, got ", rows, "×", columns);
  check(run_frames > 0, "run_frames = ", run_frames, ", expected 1 or more");
  check(boundary_frames >= 0, "boundary_frames = ", boundary_frames, ", expected 0 or more");
}

std::vector<int64_t> equal_cuts(int64_t total, int64_t parts) {
  check(total >= 0 && parts > 0, "cannot cut ", total, " into ", parts, " parts");
  std::vector<int64_t> cuts(parts, total / parts);
  for (int64_t i = 0; i < total % parts; ++i) ++cuts[i];
  return cuts;
}

std::vector<Window> windows_of(const VideoShape& video, const WindowConfig& config) {
  config.validate();
  check(config.rows <= video.rows && config.columns <= video.columns, "a frame of ", video.rows, "×", video.columns,
        " tokens cannot be cut into ", config.rows, "×", config.columns, " windows");
  std::vector<Window> windows;
  for (Window window : runs_of(video, config)) {
    window.row = 0;
    for (const int64_t rows : equal_cuts(video.rows, config.rows)) {
      window.rows = rows;
      window.column = 0;
      for (const int64_t columns : equal_cuts(video.columns, config.columns)) {
        window.columns = columns;
        windows.push_back(window);
        window.column += columns;
      }
      window.row += rows;
    }
  }
  return windows;
}

Grouping window_groups(const Layout& layout, const WindowConfig& config, c10::Device device) {
  layout.validate();
  std::vector<int64_t> query_lengths, key_lengths, query_index, key_index;
  query_index.reserve(layout.tokens());
  key_index.reserve(2 * layout.tokens());
  int64_t base = 0;
  for (const VideoShape& video : layout.videos) {
    for (const Window& window : windows_of(video, config)) {
      query_lengths.push_back(window.queries());
      key_lengths.push_back(window.keys());
      append_rows(query_index, video, base, window, window.first_frame, window.frames);
      append_rows(key_index, video, base, window, window.key_first_frame, window.key_frames);
    }
    base += video.tokens();
  }
  return {make_rows(query_lengths, query_index, device), make_rows(key_lengths, key_index, device)};
}

}  // namespace moga
