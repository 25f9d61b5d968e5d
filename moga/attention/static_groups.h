// STGA windows (docs/design.md, section 2): a window group is one spatial window in one run of one shot. Keys (never
// queries) of a group that touches a shot boundary also include the same window of the nearest frames beyond that
// boundary.
//
// Built on the host from the layout alone. The other static groups, frames, are in grouping.h.
#pragma once

#include "moga/attention/grouping.h"

namespace moga {

struct WindowConfig {
  int64_t rows = 2;             // s_y: cuts of the frame, uneven allowed
  int64_t columns = 2;          // s_x
  int64_t run_frames = 10;      // T: a shot's frames are cut into ceil(F_shot / T) runs of nearly equal length
  int64_t boundary_frames = 2;  // latent frames of keys beyond a shot boundary

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("rows", rows, "windows down the frame (s_y)");
    field("columns", columns, "windows across the frame (s_x)");
    field("run_frames", run_frames, "longest run of latent frames in a window group (T)");
    field("boundary_frames", boundary_frames, "latent frames of keys beyond a shot boundary");
  }
};

// One window group: queries are the window's tokens in frames [first_frame, first_frame + frames), keys those in
// [key_first_frame, key_first_frame + key_frames), which adds the frames beyond a shot boundary.
struct Window {
  int64_t first_frame, frames, key_first_frame, key_frames;
  int64_t row, rows, column, columns;  // tokens of the frame

  int64_t queries() const { return frames * rows * columns; }
  int64_t keys() const { return key_frames * rows * columns; }
};

// The windows of one video, in (shot, run, window row, window column) order. Throws when a frame has fewer rows or
// columns than windows.
std::vector<Window> windows_of(const VideoShape& video, const WindowConfig& config);

Grouping window_groups(const Layout& layout, const WindowConfig& config, c10::Device device);

// `total` cut into `parts` pieces that differ by at most 1, longer pieces first.
std::vector<int64_t> equal_cuts(int64_t total, int64_t parts);

}  // namespace moga
