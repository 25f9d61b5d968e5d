// Selects the branches of visual attention: groupings of the layout, the router's grouping and gate.
//
//   O = mean over the enabled branches of { SA(windows), SA(frames), gate · SA(routed groups) }    combine = mean
//   O = softmax over the union of the branches' keys, the routed ones weighted by the gate         combine = lse
//
// or SA over each whole video. branches.h combines them.
#include "moga/attention/visual_attention.h"

#include <algorithm>

#include "moga/core/check.h"

namespace moga {

constexpr int64_t kMostGroups = 4096;  // far beyond use: a mistyped number is an error, not an allocation

void VisualAttentionConfig::validate() const {
  const bool full = kind == AttentionKind::kFull;
  check(full || routed || window || frame, "attention kind moga needs one of routed, window, frame");
  check(groups > 0 && groups <= kMostGroups, "groups = ", groups, ", expected 1 to ", kMostGroups);
  check(
      full || combine == Combine::kMean || gate == Gate::kNone || !routed || window || frame,
      "with combine lse a gate weighs routed keys against those of windows and frames; without either, use gate none");
  check(balance_weight >= 0, "balance_weight = ", balance_weight, ", expected 0 or more");
  for (const int64_t layer : full_layers)
    check(layer >= 0 && std::ranges::count(full_layers, layer) == 1, "full_layers has ", layer,
          ", expected different numbers from 0");
  windows.validate();
}

VisualAttentionConfig VisualAttentionConfig::with_kind(AttentionKind other) const {
  VisualAttentionConfig config = *this;
  config.kind = other;
  return config;
}

VisualAttentionConfig VisualAttentionConfig::of_layer(int64_t layer) const {
  return std::ranges::count(full_layers, layer) > 0 ? with_kind(AttentionKind::kFull) : *this;
}

StaticGroupings static_groupings(const Layout& layout, const VisualAttentionConfig& config, c10::Device device) {
  config.validate();
  StaticGroupings groupings;
  groupings.layout = layout;
  groupings.full = full_groups(layout, device);
  if (config.kind == AttentionKind::kFull) return groupings;
  if (config.window) groupings.window = window_groups(layout, config.windows, device);
  if (config.frame) groupings.frame = frame_groups(layout, device);
  return groupings;
}

at::Tensor visual_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Routing* routing,
                            const StaticGroupings& groupings, const VisualAttentionConfig& config,
                            AttentionMemory* memory) {
  check(q.size(0) == groupings.full.query.count, "visual attention: q has ", q.size(0), " tokens, the layout ",
        groupings.full.query.count);
  check(routing || !config.uses_router(), "visual attention: routed groups need a routing");
  if (config.kind == AttentionKind::kFull) return attend(q, k, v, groupings.full, config.backend, memory).output;
  Branches branches{.groupings = {}, .combine = config.combine};
  if (config.window) branches.groupings.push_back(groupings.window.value());
  if (config.frame) branches.groupings.push_back(groupings.frame.value());
  if (config.routed) {
    branches.groupings.push_back(routing->grouping);
    branches.gate = routing->gate;  // of the last branch
  }
  return attend_branches(q, k, v, branches, config.backend, memory).output;
}

}  // namespace moga
