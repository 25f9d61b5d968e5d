// Visual attention: routed, window and frame attention, combined to their mean (DESIGN section 2) or to one softmax
// over the union of their keys, or full attention by the same interface. Each of the three can be switched off: the
// ablations need it.
#pragma once

#include <functional>
#include <optional>

#include "moga/attention/attend.h"
#include "moga/attention/router.h"
#include "moga/attention/static_groups.h"

namespace moga {

struct VisualAttentionConfig {
  std::string kind = "moga";  // "full": one softmax over each video; "moga": the branches below
  bool routed = true;
  bool window = true;
  bool frame = true;
  int64_t groups = 5;                // M
  std::string gate = "probability";  // "straight_through", "none"
  std::string combine = "mean";      // "lse"
  std::string balance = "switch";    // "paper"
  double balance_weight = 0.1;       // α
  WindowConfig windows;
  std::string backend = "auto";
  std::vector<int64_t> full_layers;  // blocks that run full attention, whatever `kind` says; they have no router

  bool uses_router() const { return kind == "moga" && routed; }
  VisualAttentionConfig with_kind(const std::string& other) const;
  VisualAttentionConfig of_layer(int64_t layer) const;  // with kind "full" in a layer of full_layers
  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("kind", kind, "full or moga");
    field("routed", routed, "routed groups take part");
    field("window", window, "window groups take part");
    field("frame", frame, "frame groups take part");
    field("groups", groups, "routed groups M");
    field("gate", gate, "probability, straight_through or none");
    field("combine", combine, "the branches' mean, or lse: one softmax over the union of their keys");
    field("balance", balance, "balance loss: switch or paper (eq. 8 as printed)");
    field("balance_weight", balance_weight, "weight of the balance loss");
    field("windows", windows, "window groups");
    field("backend", backend, "auto, reference, cpu, sm90, flash");
    field("full_layers", full_layers, "numbers of the blocks, from 0, that run full attention and have no router");
  }
};

// The groupings of a layout that do not depend on the tokens: made once a forward, shared by all blocks.
struct StaticGroupings {
  Layout layout;
  Grouping full;                          // always there: a single block or step may ask for full attention
  std::optional<Grouping> window, frame;  // those that the config uses
};
StaticGroupings static_groupings(const Layout& layout, const VisualAttentionConfig& config, c10::Device device);

// q, k, v [N, H, D]; `routing` is needed when config.uses_router(). Returns [N, H, D].
at::Tensor visual_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Routing* routing,
                            const StaticGroupings& groupings, const VisualAttentionConfig& config);

// Called by each layer with what its attention is computed from: x [N, C], the router's input; q, k, v [N, H, D].
using AttentionObserver = std::function<void(int64_t layer, const at::Tensor& x, const at::Tensor& q,
                                             const at::Tensor& k, const at::Tensor& v)>;

}  // namespace moga
