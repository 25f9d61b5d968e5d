// What causal convolutions remember from chunk to chunk. See vae_cache.h.
#include "moga/model/vae_cache.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"

namespace moga {

void FeatureCache::next_chunk() {
  check(keep_, "the feature cache of a whole clip has no second chunk");
  check(cursor_ == past_.size(), "a chunk used ", cursor_, " feature cache slots, expected ", past_.size());
  first_chunk_ = false;
  cursor_ = 0;
}

at::Tensor FeatureCache::extend(const at::Tensor& x, int64_t count) {
  at::Tensor past;
  if (first_chunk_) {
    const auto layout = x.options().memory_format(x.suggest_memory_format());
    past = at::zeros({x.size(0), x.size(1), count, x.size(3), x.size(4)}, layout);
  } else {
    past = past_.at(cursor_);
  }
  const at::Tensor extended = at::cat({past, x}, 2);
  keep(extended, count);
  return extended;
}

at::Tensor FeatureCache::extend(const at::Tensor& x, int64_t count, const Write& write) {
  const at::Tensor extended = at::empty({x.size(0), x.size(1), count + x.size(2), x.size(3), x.size(4)},
                                        x.options().memory_format(at::MemoryFormat::ChannelsLast3d));
  at::Tensor before = extended.narrow(2, 0, count);
  first_chunk_ ? before.zero_() : before.copy_(past_.at(cursor_));
  write(extended.narrow(2, count, x.size(2)));
  keep(extended, count);
  return extended;
}

void FeatureCache::keep(const at::Tensor& extended, int64_t count) {
  if (!keep_) return;
  // A copy, so that the slot does not keep the whole chunk in memory.
  at::Tensor kept = extended.narrow(2, extended.size(2) - count, count).clone();
  if (first_chunk_) {
    past_.push_back(kept);
  } else {
    past_[cursor_] = kept;
  }
  ++cursor_;
}

}  // namespace moga
