// Whole heads first, then pieces of the heads left. See exchange_plan.h.
#include "moga/attention/exchange_plan.h"

#include <algorithm>
#include <numeric>

#include "moga/core/check.h"

namespace moga {
namespace {

std::vector<Share> shares_of(int64_t rank, int64_t heads, int64_t ranks) {
  const int64_t whole = heads / ranks, left = heads % ranks, divided = whole * ranks;
  std::vector<Share> shares;
  if (whole > 0) shares.push_back({rank * whole, whole, 0, ranks});
  for (int64_t part = rank * left, end = part + left; part < end;) {
    const int64_t piece = std::min(end - part, ranks - part % ranks);  // up to the end of this head
    shares.push_back({divided + part / ranks, 1, part % ranks, piece});
    part += piece;
  }
  return shares;
}

}  // namespace

int64_t part_of_token(int64_t token, int64_t parts) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;  // φ · 2⁶⁴
  const uint64_t fraction = static_cast<uint64_t>(token) * kGolden >> 32;
  return static_cast<int64_t>(fraction * static_cast<uint64_t>(parts) >> 32);
}

ExchangePlan::ExchangePlan(int64_t heads, const std::vector<int64_t>& slice_rows)
    : heads_(heads), slice_rows_(slice_rows) {
  check(heads > 0 && !slice_rows.empty(), "an exchange of ", heads, " heads over ", slice_rows.size(), " ranks");
  for (const int64_t rows : slice_rows) check(rows >= 0, "a slice of a sequence has ", rows, " tokens");
  tokens_ = slice_begin(ranks());
  for (int64_t rank = 0; rank < ranks(); ++rank) {
    shares_.push_back(shares_of(rank, heads, ranks()));
    rounds_ = std::max(rounds_, static_cast<int64_t>(shares_.back().size()));
  }
}

int64_t ExchangePlan::slice_begin(int64_t rank) const {
  return std::accumulate(slice_rows_.begin(), slice_rows_.begin() + rank, int64_t{0});
}

std::vector<int64_t> ExchangePlan::query_tokens(const Share& share, int64_t begin, int64_t end) const {
  std::vector<int64_t> tokens;
  for (int64_t token = begin; token < end; ++token) {
    const int64_t part = part_of_token(token, ranks());
    if (part >= share.first_part && part < share.first_part + share.parts) tokens.push_back(token);
  }
  return tokens;
}

double ExchangePlan::work(int64_t rank) const {
  int64_t rows = 0;
  for (const Share& share : shares_[rank])
    rows += share.heads * (whole(share) ? tokens_ : static_cast<int64_t>(query_tokens(share, 0, tokens_).size()));
  return static_cast<double>(rows * ranks()) / static_cast<double>(heads_ * tokens_);
}

}  // namespace moga
