// Visual attention as a layer of a block: router, projections, norms and rotary embedding around
// attention/visual_attention.h, on one process or over ranks that share the videos.
//
//   o(visual_attention(rope(norm_q(q y)), rope(norm_k(k y)), v y)),  grouped by router(y)
//
// Names: q, k, v, o, norm_q, norm_k, router.
#pragma once

#include <memory>

#include "moga/attention/router.h"
#include "moga/attention/sequence_attention.h"
#include "moga/attention/visual_attention.h"
#include "moga/model/layers/projections.h"
#include "moga/model/layers/recompute.h"

namespace moga {

// What describes the videos as a whole, the same on all ranks.
struct GlobalContext {
  StaticGroupings groupings;
  bool full_attention = false;  // instead of the config's kind; routers are then unused
  AttentionObserver observer;   // may be empty
  // Where ranks share the videos: self-attention over all of them. Null: x holds all tokens.
  std::shared_ptr<const SequenceAttention> over_ranks;
};

// Rows and what their routing gave: of the attention, or of the block it is in.
struct BlockOutput {
  at::Tensor x;                // [N, C]
  at::Tensor balance_loss;     // scalar, without α; undefined without a router
  at::Tensor group_histogram;  // [B, M] int64; undefined without a router
  at::Tensor gate_sum;         // scalar: Σ p(g(x)|x) over the rows of x, no gradient; undefined without a router
};

struct SelfAttentionConfig {
  ProjectionsConfig projections;
  int64_t layer = 0;  // number of the block, passed to an observer
  VisualAttentionConfig moga;
};

class SelfAttentionImpl : public ProjectionsImpl {
 public:
  explicit SelfAttentionImpl(const SelfAttentionConfig& config);
  // x [N, C]; rotary [N, D/2] complex, see rope.h.
  BlockOutput forward(const at::Tensor& x, const at::Tensor& rotary, const GlobalContext& global, const BlockRun& run);
  void initialise_router();  // N(0, 0.02²), bias 0; does nothing without one

 private:
  BlockOutput forward_over_ranks(const at::Tensor& x, const at::Tensor& rotary, const GlobalContext& global,
                                 const BlockRun& run);
  int64_t layer_;
  VisualAttentionConfig config_, full_config_;
  Router router_{nullptr};
};
TORCH_MODULE(SelfAttention);

}  // namespace moga
