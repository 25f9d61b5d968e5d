// Rows of one round of the exchange, packed for their ranks and placed where they came from. Private to the folder; no
// autograd. Buffers are flat: for each rank its rows in token order, [rows, h, D].
#pragma once

#include "moga/attention/exchange.h"

namespace moga {

// Queries go to one rank for each head, keys to every rank that has a part of the head.
enum class Side { kQuery, kKey };

// What this slice sends one rank in one round: some heads of some rows.
struct Piece {
  Share share;          // heads = 0: the rank has no share in this round
  bool whole = true;    // all rows of the slice
  int64_t queries = 0;  // rows
  at::Tensor local;     // their numbers in the slice, int64 on the device; undefined when whole
};

struct SequenceExchange::State {
  ProcessGroup group;
  Layout layout;
  ExchangePlan plan;
  c10::Device device;
  std::vector<OwnShare> shares;                   // of this rank
  std::vector<std::vector<Piece>> pieces;         // [round][rank]
  std::vector<std::vector<int64_t>> own_queries;  // [round][rank]: queries of this rank's share in each slice
  at::Tensor video;                               // [N] int64, the video of each token; undefined with one video

  int64_t rows() const { return plan.slice_rows()[group.rank()]; }
  bool has_share(int64_t round) const { return round < static_cast<int64_t>(shares.size()); }
};
using ExchangeState = SequenceExchange::State;

std::shared_ptr<const ExchangeState> make_exchange_state(const ProcessGroup& group, const Layout& layout,
                                                         const ExchangePlan& plan, c10::Device device);

// The tensor that start_to_shares fills: [rows of this rank's share, h, D], no rows without a share.
at::Tensor share_rows(const ExchangeState& state, int64_t round, Side side, int64_t size,
                      const at::TensorOptions& options);

// x [n, H, D] of this slice → `to`, made by share_rows, in token order.
Pending start_to_shares(const ExchangeState& state, const at::Tensor& x, int64_t round, Side side,
                        const at::Tensor& to);

// The reverse: y [rows of the share, h, D] → every rank's results for this slice's rows, flat.
Pending start_from_shares(const ExchangeState& state, const at::Tensor& y, int64_t round, Side side);

// All rounds of start_from_shares → [n, H, D]. Keys of divided heads are summed over their ranks, in float32.
at::Tensor place_rows(const ExchangeState& state, const std::vector<at::Tensor>& received, int64_t size, Side side);

}  // namespace moga
