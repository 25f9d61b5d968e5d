// See cache.h.
#include "moga/model/vae/cache.h"

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
  const auto layout = x.options().memory_format(at::MemoryFormat::ChannelsLast3d);
  const at::Tensor extended = at::empty({x.size(0), x.size(1), count + x.size(2), x.size(3), x.size(4)}, layout);
  at::Tensor before = extended.narrow(2, 0, count), frames = extended.narrow(2, count, x.size(2));
  first_chunk_ ? before.zero_() : before.copy_(past_.at(cursor_));
  if (!keep_ || x.size(2) < count) {  // a chunk shorter than `count` leaves some earlier frames to keep
    write(frames, at::Tensor());
    keep(extended, count);
    return extended;
  }
  // Later chunks reuse the slot's memory; its previous content is now in `before`.
  const at::Tensor kept =
      first_chunk_ ? at::empty({x.size(0), x.size(1), count, x.size(3), x.size(4)}, layout) : past_[cursor_];
  write(frames, kept);
  fill_slot(kept);
  return extended;
}

void FeatureCache::keep(const at::Tensor& extended, int64_t count) {
  // A copy, so that the slot does not keep the whole chunk in memory.
  if (keep_) fill_slot(extended.narrow(2, extended.size(2) - count, count).clone());
}

void FeatureCache::fill_slot(const at::Tensor& kept) {
  if (first_chunk_) {
    past_.push_back(kept);
  } else {
    past_[cursor_] = kept;
  }
  ++cursor_;
}

}  // namespace moga
