#include "moga/serve/preview.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <algorithm>

#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"

namespace moga {
namespace {

constexpr size_t kMostShots = 6;
constexpr int64_t kShotWidth = 256, kFrameWidth = 512;  // pixels, at most
constexpr int kQuality = 80;
constexpr std::chrono::milliseconds kLeastPause{1000};
constexpr int kPauseForCost = 20;  // times what a picture took

// Latent frame `index` as a picture, as if it were the first of a film: uint8 [3, Y, X].
at::Tensor decoded_frame(const at::Tensor& latents, int64_t index, Codec& codec) {
  const at::NoGradGuard no_grad;
  at::Tensor picture;
  codec.decode(latents.slice(1, index, index + 1).unsqueeze(0),
               [&](const at::Tensor& frames) { picture = to_uint8(frames[0])[0].cpu(); });
  return picture;
}

}  // namespace

Previews::Previews(std::vector<int64_t> latent_shot_frames, std::filesystem::path file, std::function<void()> written)
    : shot_frames_(std::move(latent_shot_frames)),
      file_(std::move(file)),
      written_(std::move(written)),
      next_(Clock::now()) {}

void Previews::see_latents(const at::Tensor& latents, Codec& codec) {
  make([&] {
    std::vector<at::Tensor> row;
    const size_t shots = shot_frames_.size(), shown = std::min(shots, kMostShots);
    for (size_t i = 0, shot = 0, begin = 0; shot < shots; begin += static_cast<size_t>(shot_frames_[shot++])) {
      if (i >= shown || shot != i * shots / shown) continue;  // evenly spaced shots
      ++i;
      const auto middle = static_cast<int64_t>(begin) + shot_frames_[shot] / 2;
      row.push_back(shrunk_image(decoded_frame(latents, middle, codec), kShotWidth));
    }
    return tile_images({row}, 2);
  });
}

void Previews::see_frames(const at::Tensor& frames) {
  if (frames.size(0) == 0) return;
  make([&] { return shrunk_image(frames[frames.size(0) - 1].cpu(), kFrameWidth); });
}

void Previews::make(const std::function<at::Tensor()>& picture) {
  const auto start = Clock::now();
  if (off_ || start < next_) return;
  try {
    write_text(file_, jpeg_bytes(picture(), kQuality));
  } catch (const c10::Error& error) {  // such as too little memory; the film may still become complete
    off_ = true;
    return log_info("no more previews: ", error.what_without_backtrace());
  }
  written_();
  next_ = Clock::now() + std::max<Clock::duration>(kLeastPause, kPauseForCost * (Clock::now() - start));
}

}  // namespace moga
