// Visual attention: routed, window and frame attention (docs/design.md, section 2), combined to their mean or to one
// softmax over the union of their keys, or full attention through the same interface. Each of the three branches can be
// switched off for ablations.
//
// It sits after rotary embedding and before a block's output projection. Text attention is attend itself.
#pragma once

#include <functional>
#include <optional>

#include "moga/attention/attend.h"
#include "moga/attention/balance_loss.h"
#include "moga/attention/branches.h"
#include "moga/attention/static_groups.h"

namespace moga {

enum class AttentionKind { kFull, kMoga };
template <>
inline constexpr auto kChoices<AttentionKind> = std::array{
    Choice{AttentionKind::kFull, "full", "one softmax over each video"},
    Choice{AttentionKind::kMoga, "moga", "routed groups, windows and frames"},
};

struct VisualAttentionConfig {
  AttentionKind kind = AttentionKind::kMoga;
  bool routed = true;
  bool window = true;
  bool frame = true;
  int64_t groups = 5;  // M
  Gate gate = Gate::kProbability;
  Combine combine = Combine::kMean;
  BalanceForm balance = BalanceForm::kSwitch;
  double balance_weight = 0.1;  // α
  WindowConfig windows;
  AttentionBackend backend = AttentionBackend::kAuto;
  std::vector<int64_t> full_layers;  // blocks that run full attention, whatever `kind` is; they have no router

  bool uses_router() const { return kind == AttentionKind::kMoga && routed; }
  VisualAttentionConfig with_kind(AttentionKind other) const;
  VisualAttentionConfig of_layer(int64_t layer) const;  // with kind full in a layer of full_layers
  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("kind", kind, "attention");
    field("routed", routed, "routed groups are used");
    field("window", window, "window groups are used");
    field("frame", frame, "frame groups are used");
    field("groups", groups, "routed groups M");
    field("gate", gate, "what scales routed attention");
    field("combine", combine, "the branches' mean, or one softmax over the union of their keys");
    field("balance", balance, "form of the balance loss");
    field("balance_weight", balance_weight, "weight of the balance loss");
    field("windows", windows, "window groups");
    field("backend", backend, "implementation");
    field("full_layers", full_layers, "numbers of the blocks, from 0, that run full attention and have no router");
  }
};

// The groupings of a layout that do not depend on the tokens: made once per forward pass, shared by all blocks.
struct StaticGroupings {
  Layout layout;
  Grouping full;                          // always present: a single block or step may run full attention
  std::optional<Grouping> window, frame;  // those that the config uses
};
StaticGroupings static_groupings(const Layout& layout, const VisualAttentionConfig& config, c10::Device device);

// q, k, v [N, H, D] → [N, H, D]. `routing` is required when config.uses_router(). memory: see attention_memory.h.
at::Tensor visual_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Routing* routing,
                            const StaticGroupings& groupings, const VisualAttentionConfig& config,
                            AttentionMemory* memory = nullptr);

// Called by each layer with the inputs of its attention: x [N, C], the router's input; q, k, v [N, H, D].
using AttentionObserver = std::function<void(int64_t layer, const at::Tensor& x, const at::Tensor& q,
                                             const at::Tensor& k, const at::Tensor& v)>;

}  // namespace moga
