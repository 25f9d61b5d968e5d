// Token counts and offsets of packed batches, and what makes a layout invalid. Host arithmetic only.
#include "moga/attention/layout.h"

#include <numeric>

#include "moga/core/check.h"

namespace moga {

int64_t VideoShape::begin_of_shot(int64_t shot) const {
  check(shot >= 0 && shot <= shots(), "shot ", shot, " of a video with ", shots(), " shots");
  if (shot_frames.empty()) return shot * frames;
  return std::accumulate(shot_frames.begin(), shot_frames.begin() + shot, int64_t{0});
}

void VideoShape::validate() const {
  check(frames > 0 && rows > 0 && columns > 0, "a video has at least one frame, row and column; got ", frames, "×",
        rows, "×", columns);
  if (shot_frames.empty()) return;
  for (const int64_t length : shot_frames) check(length > 0, "a shot has at least one latent frame, got ", length);
  check(begin_of_shot(shots()) == frames, "shots have ", begin_of_shot(shots()),
        " latent frames in all, the video has ", frames);
}

int64_t Layout::tokens() const {
  int64_t total = 0;
  for (const VideoShape& video : videos) total += video.tokens();
  return total;
}

int64_t Layout::shots() const {
  int64_t total = 0;
  for (const VideoShape& video : videos) total += video.shots();
  return total;
}

std::vector<int64_t> Layout::video_offsets() const {
  std::vector<int64_t> offsets{0};
  for (const VideoShape& video : videos) offsets.push_back(offsets.back() + video.tokens());
  return offsets;
}

void Layout::validate() const {
  check(!videos.empty(), "a layout has at least one video");
  for (const VideoShape& video : videos) video.validate();
}

}  // namespace moga
