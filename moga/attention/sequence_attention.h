// Visual attention and balance loss of a layout spread over ranks: the same results as visual_attention and
// balance_loss on one process. Each rank scores its slice of the tokens; the group numbers and gates are then gathered
// from all ranks.
//
//   SequenceAttention spread(group, layout, heads, slices, config, device);     // once per layout
//   SliceRouting routing = spread.route(router->score(x));                      // x [n, C] of the slice
//   at::Tensor output = spread.forward(q, k, v, &routing, config);              // [n, H, D] of the slice
//   at::Tensor loss = spread.balance(routing, config.balance);                  // one number, the same on every rank
//
// Waits for no GPU. exchange.h exchanges the rows. For a loss that sums over the tokens of all ranks, the parameter
// gradients of the ranks add up to those of one process.
#pragma once

#include "moga/attention/exchange.h"
#include "moga/attention/visual_attention.h"

namespace moga {

// Scores of the slice's tokens, groups and gates of the whole sequence.
struct SliceRouting {
  TokenScores scores;
  at::Tensor group;   // g [N] int64
  at::Tensor gate;    // [N]; undefined with Gate::kNone
  Grouping grouping;  // B·M groups
};

class SequenceAttention {
 public:
  // slice_rows: tokens of each rank (sequence_slices in exchange.h). The groupings are those that `config` uses.
  SequenceAttention(const ProcessGroup& group, const Layout& layout, int64_t heads,
                    const std::vector<int64_t>& slice_rows, const VisualAttentionConfig& config, c10::Device device);

  const ExchangePlan& plan() const { return exchange_.plan(); }
  int64_t first_row() const { return exchange_.plan().slice_begin(group_.rank()); }
  int64_t rows() const { return exchange_.plan().slice_rows()[group_.rank()]; }

  SliceRouting route(const TokenScores& scores) const;

  // q, k, v [n, H, D] → [n, H, D]. `routing` is required when config.uses_router(). `memory`, where given, holds a
  // record for each of this rank's shares.
  at::Tensor forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const SliceRouting* routing,
                     const VisualAttentionConfig& config, AttentionMemory* memory = nullptr) const;

  at::Tensor balance(const SliceRouting& routing, BalanceForm form) const;
  at::Tensor histogram(const SliceRouting& routing) const;  // tokens per video and group [B, M]

 private:
  ProcessGroup group_;
  Layout layout_;
  SequenceExchange exchange_;
  std::vector<StaticGroupings> groupings_;  // of each share of this rank
};

}  // namespace moga
