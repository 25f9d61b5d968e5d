// Visual attention of a block, after rotary embedding and before the output projection:
//
//   O = mean over the enabled branches of { gate · SA(routed groups), SA(windows), SA(frames) }    combine = "mean"
//   O = softmax over the union of the branches' keys, the routed ones weighed by the gate          combine = "lse"
//
// or SA over each whole video. How the branches are combined is combine.h's.
#include "moga/attention/visual_attention.h"

#include <algorithm>

#include "moga/attention/combine.h"
#include "moga/core/check.h"

namespace moga {

constexpr int64_t kMostGroups = 4096;  // far beyond use: a slip of the pen ends in a line, not in all memory

void VisualAttentionConfig::validate() const {
  check(kind == "full" || kind == "moga", "attention kind '", kind, "' is not one of full, moga");
  check(kind == "full" || routed || window || frame, "attention kind moga needs one of routed, window, frame");
  check(groups > 0 && groups <= kMostGroups, "groups = ", groups, ", expected 1 to ", kMostGroups);
  check(gate == "probability" || gate == "straight_through" || gate == "none", "gate '", gate,
        "' is not one of probability, straight_through, none");
  check(combine == "mean" || combine == "lse", "combine '", combine, "' is not one of mean, lse");
  check(
      kind == "full" || combine == "mean" || gate == "none" || !routed || window || frame,
      "with combine lse a gate weighs routed keys against those of windows and frames; without either, use gate none");
  check(balance == "switch" || balance == "paper", "balance '", balance, "' is not one of switch, paper");
  check(balance_weight >= 0, "balance_weight = ", balance_weight, ", expected 0 or more");
  check(backend == "auto" || backend == "reference" || backend == "cpu" || backend == "sm90" || backend == "flash",
        "attention backend '", backend, "' is not one of auto, reference, cpu, sm90, flash");
  for (const int64_t layer : full_layers)
    check(layer >= 0 && std::ranges::count(full_layers, layer) == 1, "full_layers has ", layer,
          ", expected different numbers from 0");
  windows.validate();
}

VisualAttentionConfig VisualAttentionConfig::with_kind(const std::string& other) const {
  VisualAttentionConfig config = *this;
  config.kind = other;
  return config;
}

VisualAttentionConfig VisualAttentionConfig::of_layer(int64_t layer) const {
  return std::ranges::count(full_layers, layer) > 0 ? with_kind("full") : *this;
}

StaticGroupings static_groupings(const Layout& layout, const VisualAttentionConfig& config, c10::Device device) {
  config.validate();
  StaticGroupings groupings;
  groupings.layout = layout;
  groupings.full = full_groups(layout, device);
  if (config.kind == "full") return groupings;
  if (config.window) groupings.window = window_groups(layout, config.windows, device);
  if (config.frame) groupings.frame = frame_groups(layout, device);
  return groupings;
}

at::Tensor visual_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Routing* routing,
                            const StaticGroupings& groupings, const VisualAttentionConfig& config) {
  check(q.size(0) == groupings.layout.tokens(), "visual attention: q has ", q.size(0), " tokens, the layout ",
        groupings.layout.tokens());
  check(routing || !config.uses_router(), "visual attention: routed groups need a routing");
  if (config.kind == "full") return attend(q, k, v, groupings.full, config.backend).output;
  std::vector<Grouping> branches;
  if (config.window) branches.push_back(groupings.window.value());
  if (config.frame) branches.push_back(groupings.frame.value());
  if (config.routed) branches.push_back(routing->grouping);
  const at::Tensor gate = config.routed ? routing->gate : at::Tensor();  // of the last
  if (config.combine == "lse") return attend_union(q, k, v, branches, gate, config.backend).output;
  return attend_mean(q, k, v, branches, gate, config.backend);
}

}  // namespace moga
