// A pool of clips of films. See film_clips.h.
#include "moga/train/vae/film_clips.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/random.h"
#include "moga/data/limits.h"

namespace moga {
namespace {

constexpr int kThreads = 2;
constexpr int64_t kAhead = 4;  // clips

Clips stacked(const std::vector<at::Tensor>& clips) {
  const at::Tensor all = at::stack(clips).transpose(1, 2);  // [B, 3, T, Y, X]
  return {.video = all.to(at::kFloat).mul_(2.0 / 255).sub_(1.0),
          .detail = at::zeros_like(all.narrow(1, 0, 1), all.options().dtype(at::kFloat))};
}

}  // namespace

FilmClips::FilmClips(Source source, at::Device device) : source_(std::move(source)), device_(device) {
  check(source_.clips > 0, "a pool of ", source_.clips, " clips, expected at least 1");
  const size_t all = source_.samples.size();
  int64_t longest = 0;
  std::erase_if(source_.samples, [&](const Record& sample) {
    longest = std::max(longest, frames_of(sample));
    return frames_of(sample) < source_.frames;
  });
  check(!source_.samples.empty(), "frames = ", source_.frames, ", but the longest of ", all, " samples has ", longest);
  left_out_ = all - source_.samples.size();
  for (const Record& sample : source_.samples) {
    const auto height = sample.at("height").get<int64_t>(), width = sample.at("width").get<int64_t>();
    one_size_ = one_size_ && (height_ == 0 || (height == height_ && width == width_));
    height_ = height_ == 0 ? height : std::min(height_, height);
    width_ = width_ == 0 ? width : std::min(width_, width);
    const int64_t places = 1 + (frames_of(sample) - source_.frames) / kLatentStride;
    places_.push_back(places + (places_.empty() ? 0 : places_.back()));
  }
  pool_.resize(static_cast<size_t>(source_.clips));
}

at::Tensor FilmClips::read(int64_t item) const {
  const uint64_t key = random_key(source_.seed, source_.purpose, static_cast<uint64_t>(item));
  const auto place = static_cast<int64_t>(key % static_cast<uint64_t>(places_.back()));
  const auto at = static_cast<size_t>(std::upper_bound(places_.begin(), places_.end(), place) - places_.begin());
  const int64_t first = kLatentStride * (place - (at > 0 ? places_[at - 1] : 0));
  return sample_frames(source_.samples[at], first, source_.frames, source_.fps);
}

void FilmClips::advance(int64_t drawn) {
  check(drawn >= source_.clips, "a pool of ", source_.clips, " clips cannot be filled by ", drawn);
  const int64_t first = std::max(drawn_, drawn - source_.clips);
  if (first < drawn && (!ahead_ || ahead_->position() != first))
    ahead_.emplace([this](int64_t item) { return read(item); }, first, kAhead, kThreads);
  for (int64_t item = first; item < drawn; ++item)
    pool_[static_cast<size_t>(item % source_.clips)] = ahead_->next().to(device_);
  drawn_ = std::max(drawn_, drawn);
}

Clips FilmClips::draw(const ClipShape& shape, at::Generator random) const {
  const auto below = [&](int64_t limit) { return at::randint(limit, {}, random, at::kLong).item<int64_t>(); };
  std::vector<at::Tensor> clips;
  for (int64_t i = 0; i < shape.clips; ++i) {
    const at::Tensor& item = pool_[static_cast<size_t>(below(source_.clips))];
    const int64_t frame = kLatentStride * below(1 + (source_.frames - shape.frames) / kLatentStride);
    const int64_t row = below(1 + item.size(2) - shape.height), column = below(1 + item.size(3) - shape.width);
    clips.push_back(item.narrow(0, frame, shape.frames).narrow(2, row, shape.height).narrow(3, column, shape.width));
  }
  return stacked(clips);
}

Clips FilmClips::whole(int64_t first, int64_t clips, int64_t frames) const {
  std::vector<at::Tensor> all;
  for (int64_t i = 0; i < clips; ++i) {
    const at::Tensor& item = pool_[static_cast<size_t>((first + i) % source_.clips)];
    all.push_back(item.narrow(0, 0, frames)
                      .narrow(2, (item.size(2) - height_) / 2, height_)
                      .narrow(3, (item.size(3) - width_) / 2, width_));
  }
  return stacked(all);
}

}  // namespace moga
