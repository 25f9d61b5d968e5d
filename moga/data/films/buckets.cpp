// Sizes per aspect ratio. See buckets.h.
#include "moga/data/films/buckets.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "moga/core/check.h"
#include "moga/data/films/config.h"
#include "moga/data/limits.h"

namespace moga {
namespace {

int64_t rounded_to(double side, int64_t multiple) {
  return std::max<int64_t>(multiple, std::llround(side / static_cast<double>(multiple)) * multiple);
}

BucketFit fit_one(const Bucket& bucket, int64_t width, int64_t height) {
  const double scale = std::max(static_cast<double>(bucket.width) / static_cast<double>(width),
                                static_cast<double>(bucket.height) / static_cast<double>(height));
  BucketFit fit;
  fit.bucket = bucket;
  fit.upscale = scale;
  fit.crop.width = std::min(width, static_cast<int64_t>(std::llround(static_cast<double>(bucket.width) / scale)));
  fit.crop.height = std::min(height, static_cast<int64_t>(std::llround(static_cast<double>(bucket.height) / scale)));
  fit.crop.x = (width - fit.crop.width) / 2;
  fit.crop.y = (height - fit.crop.height) / 2;
  fit.cropped = 1 - static_cast<double>(fit.crop.width * fit.crop.height) / static_cast<double>(width * height);
  return fit;
}

}  // namespace

std::vector<Bucket> make_buckets(const MergeConfig& config) {
  const int64_t multiple = config.multiple > 0 ? config.multiple : kWanPixelsPerToken.columns;
  std::vector<Bucket> buckets;
  for (const std::string& aspect : config.aspects) {
    double width = 0, height = 0;
    char rest = 0;
    check(std::sscanf(aspect.c_str(), "%lf:%lf%c", &width, &height, &rest) == 2 && width > 0 && height > 0 &&
              width / height <= 16 && height / width <= 16,
          "aspects has '", aspect, "', expected a ratio as \"16:9\"");
    const double side = std::sqrt(static_cast<double>(config.area) * width / height);
    buckets.push_back({aspect, rounded_to(side, multiple), rounded_to(side * height / width, multiple)});
  }
  return buckets;
}

BucketFit fit_bucket(const std::vector<Bucket>& buckets, int64_t width, int64_t height) {
  BucketFit best;
  for (const Bucket& bucket : buckets) {
    const BucketFit fit = fit_one(bucket, width, height);
    if (best.bucket.width == 0 || fit.cropped < best.cropped) best = fit;
  }
  return best;
}

}  // namespace moga
