// See images.h.
#include "moga/data/dataset/images.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/random.h"

namespace moga {

void ImagesConfig::validate() const {
  check(enabled() || (share == 1 && last == 0 && image_encoder.empty()),
        "form is none, and share, last or image_encoder is set: expected form = \"condition\" or \"latents\"");
  check(share > 0 && share <= 1, "share is ", share, ", expected more than 0 and at most 1");
  check(last >= 0 && last <= 1, "last is ", last, ", expected 0 to 1");
  check(seed >= 0, "seed is ", seed, ", expected at least 0");
  check(form != ImageForm::kLatents || last == 0, "last is ", last,
        ", expected 0: in form latents shots are given first frames alone");
  check(form == ImageForm::kCondition || image_encoder.empty(),
        "image_encoder needs form = \"condition\": ", "other models see no embeddings of images");
}

int64_t ShownImages::count() const { return std::ranges::count(first, true); }

ShownImages draw_images(const ImagesConfig& config, uint64_t video, const std::vector<int64_t>& shot_frames) {
  const auto shots = static_cast<int64_t>(shot_frames.size());
  const at::Tensor u =
      at::rand({shots, 2}, random_stream(static_cast<uint64_t>(config.seed), "images", video), at::kDouble);
  const double* draw = u.const_data_ptr<double>();
  ShownImages shown;
  for (int64_t shot = 0; shot < shots; ++shot) shown.first.push_back(draw[2 * shot] < config.share);
  if (config.form == ImageForm::kCondition && shown.count() == 0) shown.first[0] = true;
  for (int64_t shot = 0; shot < shots; ++shot)
    shown.last.push_back(shown.first[shot] && shot_frames[shot] > 1 && draw[2 * shot + 1] < config.last);
  return shown;
}

void StoredImages::add(const StoredImages& other) {
  some_last = some_last || other.some_last;
  some_single = some_single || other.some_single;
  if (embedding == 0) embedding = other.embedding;
}

}  // namespace moga
