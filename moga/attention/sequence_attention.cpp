// Visual attention of each share, with the share's part of every grouping. See sequence_attention.h.
#include "moga/attention/sequence_attention.h"

#include <ATen/ATen.h>

#include "moga/attention/attention_memory.h"
#include "moga/attention/segments.h"
#include "moga/core/check.h"
#include "moga/parallel/all_sum.h"

namespace moga {
SequenceAttention::SequenceAttention(const ProcessGroup& group, const Layout& layout, int64_t heads,
                                     const std::vector<int64_t>& slice_rows, const VisualAttentionConfig& config,
                                     c10::Device device)
    : group_(group), layout_(layout), exchange_(group, layout, heads, slice_rows, device) {
  const StaticGroupings whole = static_groupings(layout, config, device);
  for (const OwnShare& share : exchange_.shares()) {
    StaticGroupings own = whole;
    own.full = exchange_.of_share(whole.full, share);
    if (whole.window) own.window = exchange_.of_share(*whole.window, share);
    if (whole.frame) own.frame = exchange_.of_share(*whole.frame, share);
    groupings_.push_back(own);
  }
}

SliceRouting SequenceAttention::route(const TokenScores& scores) const {
  const int64_t groups = scores.probabilities.size(1);
  if (!scores.gate.defined()) {
    const at::Tensor group = exchange_.gather(scores.group);
    return {scores, group, {}, routed_groups(layout_, group, groups)};
  }
  // In one exchange: what it costs is one rank waiting for the other. Numbers of groups are exact in float32.
  const at::Tensor all = exchange_.gather(at::stack({scores.group.to(scores.gate.scalar_type()), scores.gate}, 1));
  const at::Tensor group = all.select(1, 0).to(at::kLong);
  return {scores, group, all.select(1, 1).contiguous(), routed_groups(layout_, group, groups)};
}

at::Tensor SequenceAttention::forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                      const SliceRouting* routing, const VisualAttentionConfig& config,
                                      AttentionMemory* memory) const {
  const bool routed = config.uses_router();
  check(routing || !routed, "attention over ranks: routed groups need a routing");
  const auto attend_share = [&](const OwnShare& share, const ShareInputs& x) {
    const StaticGroupings& groupings = groupings_[&share - exchange_.shares().data()];
    if (!routed) return visual_attention(x.q, x.k, x.v, nullptr, groupings, config, memory);
    Routing own;
    own.gate = x.gate;
    own.grouping = exchange_.routed_of_share(routing->grouping, routing->group, config.groups, share);
    return visual_attention(x.q, x.k, x.v, &own, groupings, config, memory);
  };
  // The reference backend records nothing and computes twice.
  const bool replayed = memory && memory->replaying() && !memory->empty();
  return exchange_.attend(q, k, v, routed ? SpreadGate{routing->scores.gate, routing->gate} : SpreadGate(),
                          attend_share, replayed);
}

at::Tensor SequenceAttention::balance(const SliceRouting& routing, BalanceForm form) const {
  const Segments videos = slice_of(video_segments(layout_), first_row(), rows());
  const at::Tensor part = partial_probabilities(routing.scores, videos, layout_, form);
  return balance_loss({.counts = histogram(routing), .probabilities = all_sum(group_, part)}, layout_);
}

at::Tensor SequenceAttention::histogram(const SliceRouting& routing) const {
  return group_histogram(routing.grouping, layout_);
}

}  // namespace moga
