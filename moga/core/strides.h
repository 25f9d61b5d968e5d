// Strides: how many points of one grid make a point of the next, along time, rows and columns.
//
//   pixels ─ codec's strides (Wan2.1: 4, 8, 8) → latents ─ patch (1, 2, 2) → tokens
//
// The product of the two is the pixels of a token. Codecs are causal in time: latent frame 0 is pixel frame 0, latent
// frame i ≥ 1 is `frames` pixel frames, so F latent frames are 1 + frames · (F − 1) pixel frames.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moga {

struct Strides {
  int64_t frames = 1, rows = 1, columns = 1;

  bool operator==(const Strides&) const = default;
  friend Strides operator*(const Strides& a, const Strides& b) {
    return {a.frames * b.frames, a.rows * b.rows, a.columns * b.columns};
  }
  int64_t frame_area() const { return rows * columns; }

  // Pixel frames of F latent frames, and the reverse, which throws unless the number is 1 + frames · k.
  int64_t pixel_frames(int64_t latent_frames) const;
  int64_t latent_frames(int64_t pixel_frames) const;
  // Of each shot: the first latent frame of a video is one pixel frame, all others are `frames`.
  std::vector<int64_t> pixel_shot_frames(const std::vector<int64_t>& latent_shot_frames) const;

  // Whether a frame of this size divides by rows and columns.
  bool divide(int64_t width, int64_t height) const { return width % columns == 0 && height % rows == 0; }
  // "multiples of 16", or "multiples of 16 and 8" where the sides differ.
  std::string multiples() const;
};

}  // namespace moga
