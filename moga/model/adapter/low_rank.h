// Low-rank updates that are trained in place of a model's weights (LoRA, Hu et al., arXiv 2106.09685):
//
//   y = W x + b + s · up (down x)     down ~ U(−1/√in, 1/√in), up = 0, s = alpha / rank, or alpha / √rank
//
// W, b and everything else are frozen: they have no gradients, masters or moments. Routers are trained whole, since a
// base model has none. The finished update is written as a MoGA adapter (moga_adapter.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moga/core/choice.h"
#include "moga/model/video_model.h"

namespace moga {

enum class AdapterNames { kComfyUi, kDiffusers };
template <>
inline constexpr auto kChoices<AdapterNames> = std::array{
    Choice{AdapterNames::kComfyUi, "comfyui", "the original names after diffusion_model, with alpha"},
    Choice{AdapterNames::kDiffusers, "diffusers", "those of diffusers and PEFT after transformer"},
};

struct LoraConfig {
  int64_t rank = 0;
  double alpha = 0;
  std::vector<std::string> targets = {"self_attn", "cross_attn", "ffn"};
  bool rank_stabilised = false;
  bool train_routers = true;
  AdapterNames names = AdapterNames::kComfyUi;

  bool enabled() const { return rank > 0; }
  double scale() const;
  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("rank", rank, "rank of the updates; 0: all weights are trained");
    field("alpha", alpha, "updates are scaled by alpha / rank; 0: alpha = rank");
    field("targets", targets, "layers of a block that are updated, or the beginnings of their names");
    field("rank_stabilised", rank_stabilised, "scale by alpha / sqrt(rank)");
    field("train_routers", train_routers, "routers are trained as well, with full rank");
    field("names", names, "names in the finished adapter");
  }
};

// Freezes the model and gives the targets of all blocks updates in float32, drawn from the CPU's default generator.
// Throws when a target is no layer of a block.
void train_low_rank(VideoModel& model, const LoraConfig& config, at::Device device);

}  // namespace moga
