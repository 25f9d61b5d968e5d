// Sizes that samples are brought to: one per aspect ratio, all of about the same area, so that every sample has about
// the same number of tokens per frame and no picture is stretched.
#pragma once

#include <string>
#include <vector>

#include "moga/data/video/film.h"

namespace moga {

struct MergeConfig;

struct Bucket {
  std::string aspect;  // "16:9"
  int64_t width = 0, height = 0;
};
std::vector<Bucket> make_buckets(const MergeConfig& config);

// How a picture of the size `width` x `height` fills a bucket: the largest centred part of the bucket's shape.
struct BucketFit {
  Bucket bucket;
  Crop crop;           // in pixels of the picture, which is resized to the bucket
  double cropped = 0;  // fraction of the picture that is cut off
  double upscale = 0;  // of one side; below 1 the picture becomes smaller
};
// The bucket that cuts off least.
BucketFit fit_bucket(const std::vector<Bucket>& buckets, int64_t width, int64_t height);

}  // namespace moga
