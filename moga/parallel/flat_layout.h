// The arrangement of several tensors in one flat buffer that is cut into equal shards, one per rank:
//
//   tensors a, b, c  →  flat [ a | b | c | padding ], P·L elements  →  shard of rank r = elements [r·L, (r+1)·L)
//
// Tensors and shards begin at multiples of 64 elements, so that kernels may read any of them with wide loads. A shard
// holds at most one piece of each tensor. Numbers only; sharded_parameters.h moves data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace moga {

// The elements [begin, begin + length) of a tensor, flattened, which start at `offset` of a shard.
struct FlatPiece {
  size_t tensor = 0;
  int64_t begin = 0, length = 0, offset = 0;
};

class FlatLayout {
 public:
  // `counts`: elements of each tensor.
  FlatLayout(const std::vector<int64_t>& counts, int64_t ranks);

  int64_t begin_of(size_t tensor) const { return begins_[tensor]; }  // in the flat buffer
  int64_t shard_length() const { return shard_length_; }             // L
  int64_t length() const { return shard_length_ * ranks_; }          // P·L
  std::vector<FlatPiece> pieces(int64_t rank) const;                 // those of the rank's shard, in order

 private:
  std::vector<int64_t> counts_, begins_;
  int64_t ranks_, shard_length_;
};

}  // namespace moga
