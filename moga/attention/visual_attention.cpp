// Visual attention of a block, after rotary embedding and before the output projection:
//
//   O = mean over the enabled branches of { gate · SA(routed groups), SA(windows), SA(frames) }
//
// or SA over each whole video. The mean is taken in float32 and rounded once.
#include "moga/attention/visual_attention.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"

namespace moga {

void VisualAttentionConfig::validate() const {
  check(kind == "full" || kind == "moga", "attention kind '", kind, "' is not one of full, moga");
  check(kind == "full" || routed || window || frame, "attention kind moga needs one of routed, window, frame");
  check(groups > 0, "groups = ", groups, ", expected 1 or more");
  check(gate == "probability" || gate == "straight_through" || gate == "none", "gate '", gate,
        "' is not one of probability, straight_through, none");
  check(balance == "switch" || balance == "paper", "balance '", balance, "' is not one of switch, paper");
  check(balance_weight >= 0, "balance_weight = ", balance_weight, ", expected 0 or more");
  check(backend == "auto" || backend == "reference" || backend == "cpu" || backend == "flash", "attention backend '",
        backend, "' is not one of auto, reference, cpu, flash");
  windows.validate();
}

StaticGroupings static_groupings(const Layout& layout, const VisualAttentionConfig& config, c10::Device device) {
  config.validate();
  StaticGroupings groupings;
  groupings.layout = layout;
  if (config.kind == "full") {
    groupings.full = full_groups(layout, device);
    return groupings;
  }
  if (config.window) groupings.window = window_groups(layout, config.windows, device);
  if (config.frame) groupings.frame = frame_groups(layout, device);
  return groupings;
}

at::Tensor visual_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Routing* routing,
                            const StaticGroupings& groupings, const VisualAttentionConfig& config) {
  check(q.size(0) == groupings.layout.tokens(), "visual attention: q has ", q.size(0), " tokens, the layout ",
        groupings.layout.tokens());
  check(routing || !config.uses_router(), "visual attention: routed groups need a routing");
  const auto over = [&](const Grouping& grouping) { return attend(q, k, v, grouping, config.backend).output; };
  if (config.kind == "full") return over(groupings.full.value());
  std::vector<at::Tensor> branches;  // [N, H, D] each
  if (config.window) branches.push_back(over(groupings.window.value()));
  if (config.frame) branches.push_back(over(groupings.frame.value()));
  if (config.routed) {
    const at::Tensor routed = over(routing->grouping);
    branches.push_back(routing->gate.defined() ? routed * routing->gate.view({-1, 1, 1}) : routed);
  }
  if (branches.size() == 1) return branches[0].to(q.scalar_type());
  at::Tensor sum = branches[0].to(c10::promoteTypes(q.scalar_type(), at::kFloat));
  for (size_t i = 1; i < branches.size(); ++i) sum = sum + branches[i];
  return (sum / static_cast<double>(branches.size())).to(q.scalar_type());
}

}  // namespace moga
