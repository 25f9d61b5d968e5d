// See strides.h.
#include "moga/core/strides.h"

#include "moga/core/check.h"

namespace moga {

int64_t Strides::pixel_frames(int64_t latent_frames) const {
  check(latent_frames >= 1, "got ", latent_frames, " latent frames, expected at least 1");
  return 1 + frames * (latent_frames - 1);
}

int64_t Strides::latent_frames(int64_t pixel_frames) const {
  check(pixel_frames >= 1 && (pixel_frames - 1) % frames == 0, "got ", pixel_frames, " pixel frames, expected 1 + ",
        frames, "k; ", pixel_frames < 1 ? 1 : 1 + (pixel_frames - 1 + frames / 2) / frames * frames, " would be right");
  return 1 + (pixel_frames - 1) / frames;
}

std::vector<int64_t> Strides::pixel_shot_frames(const std::vector<int64_t>& latent_shot_frames) const {
  std::vector<int64_t> result;
  for (const int64_t shot : latent_shot_frames) result.push_back(result.empty() ? pixel_frames(shot) : frames * shot);
  return result;
}

std::string Strides::multiples() const {
  const std::string across = "multiples of " + std::to_string(columns);
  return rows == columns ? across : across + " and " + std::to_string(rows);
}

}  // namespace moga
