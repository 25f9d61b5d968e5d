// The shape of a packed batch: which tokens belong to which video, latent frame, row, column and shot.
//
// All tokens of all videos are stored in one [N, C] tensor, video after video, each in (frame, row, column) order;
// nothing is padded. A shot is a run of latent frames. Layouts are host values, known before the model runs.
#pragma once

#include <cstdint>
#include <vector>

namespace moga {

struct VideoShape {
  int64_t frames = 1;                // F, latent frames
  int64_t rows = 1;                  // Y, tokens
  int64_t columns = 1;               // X, tokens
  std::vector<int64_t> shot_frames;  // latent frames of each shot, sum F; empty: one shot

  int64_t frame_tokens() const { return rows * columns; }
  int64_t tokens() const { return frames * rows * columns; }
  int64_t shots() const { return shot_frames.empty() ? 1 : static_cast<int64_t>(shot_frames.size()); }
  // First latent frame of shot s; begin_of_shot(shots()) == frames.
  int64_t begin_of_shot(int64_t shot) const;
  void validate() const;
  bool operator==(const VideoShape&) const = default;
};

struct Layout {
  std::vector<VideoShape> videos;

  int64_t tokens() const;                      // N
  int64_t shots() const;                       // over all videos
  std::vector<int64_t> video_offsets() const;  // [B + 1] token rows
  void validate() const;
  bool operator==(const Layout&) const = default;
};

}  // namespace moga
