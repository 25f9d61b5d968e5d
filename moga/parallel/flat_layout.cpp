// See flat_layout.h.
#include "moga/parallel/flat_layout.h"

#include <algorithm>

#include "moga/core/check.h"

namespace moga {
namespace {

constexpr int64_t kAlignment = 64;  // elements

int64_t aligned(int64_t elements) { return (elements + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

FlatLayout::FlatLayout(const std::vector<int64_t>& counts, int64_t ranks) : counts_(counts), ranks_(ranks) {
  check(ranks > 0, "a flat buffer for ", ranks, " ranks");
  int64_t end = 0;
  for (const int64_t count : counts) {
    begins_.push_back(end);
    end += aligned(count);
  }
  shard_length_ = aligned((end + ranks - 1) / ranks);
}

std::vector<FlatPiece> FlatLayout::pieces(int64_t rank) const {
  const int64_t first = rank * shard_length_, last = first + shard_length_;
  std::vector<FlatPiece> pieces;
  for (size_t tensor = 0; tensor < counts_.size(); ++tensor) {
    const int64_t begin = std::max(begins_[tensor], first), end = std::min(begins_[tensor] + counts_[tensor], last);
    if (begin < end) pieces.push_back({tensor, begin - begins_[tensor], end - begin, begin - first});
  }
  return pieces;
}

}  // namespace moga
