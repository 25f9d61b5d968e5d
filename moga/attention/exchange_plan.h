// Who computes which part of attention when a sequence of N tokens is spread over P ranks, for any number of heads H:
//
//   a unit of work is (head, query rows): all keys of the head, some of its queries
//   every rank has ⌊H/P⌋ whole heads; the remaining R = H mod P heads have P parts each, and rank s has the parts
//   [s·R, (s+1)·R): pieces of one or two heads.   12 heads on 8 ranks: one head and half a head on each
//
// The part of token n is ⌊P · frac(n · φ)⌋, φ = (√5 − 1)/2. Multiples of φ spread evenly over any run of tokens and any
// stride, so that a part holds 1/P of the queries of every group, whose lengths only the device knows, and all ranks
// have equal work whatever the routing. Rows are counted here, on the host: the sizes of the exchange need no
// synchronisation. The cost is that keys and values of a divided head go to each of its ranks; padding H to a multiple
// of P instead would leave a quarter of the ranks' time unused with 12 heads on 8.
//
// Host arithmetic only; exchange.h moves the rows.
#pragma once

#include <cstdint>
#include <vector>

namespace moga {

// Part of a token's queries, in [0, parts).
int64_t part_of_token(int64_t token, int64_t parts);

// Heads [first_head, first_head + heads) of the query rows whose part is in [first_part, first_part + parts).
struct Share {
  int64_t first_head = 0, heads = 0;
  int64_t first_part = 0, parts = 0;
};

class ExchangePlan {
 public:
  // slice_rows: tokens on each rank, in order. Throws without ranks or heads, or for a negative slice.
  ExchangePlan(int64_t heads, const std::vector<int64_t>& slice_rows);

  int64_t ranks() const { return static_cast<int64_t>(slice_rows_.size()); }
  int64_t heads() const { return heads_; }
  int64_t tokens() const { return tokens_; }
  const std::vector<int64_t>& slice_rows() const { return slice_rows_; }
  int64_t slice_begin(int64_t rank) const;
  int64_t whole_heads() const { return heads_ / ranks() * ranks(); }  // the heads before it are not divided

  // The shares are exchanged in rounds: in each, every rank receives its share of that number or nothing.
  const std::vector<Share>& shares(int64_t rank) const { return shares_[rank]; }
  int64_t rounds() const { return rounds_; }

  bool whole(const Share& share) const { return share.parts == ranks(); }
  // The tokens of [begin, end) whose queries the share holds, in order.
  std::vector<int64_t> query_tokens(const Share& share, int64_t begin, int64_t end) const;
  // The rank's attention in units of the mean: Σ over its shares of heads · query rows / (H · N / P).
  double work(int64_t rank) const;

 private:
  int64_t heads_, tokens_ = 0, rounds_ = 0;
  std::vector<int64_t> slice_rows_;
  std::vector<std::vector<Share>> shares_;
};

}  // namespace moga
