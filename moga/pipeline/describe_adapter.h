// What a safetensors file is as an adapter: a LoRA, or a MoGA adapter with routers and attention, and for which model.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "moga/model/video_model.h"

namespace moga {

struct AdapterFacts {
  std::optional<VisualAttentionConfig> attention = {};  // of a MoGA adapter, which --adapter takes; else a LoRA
  std::string base = {};          // class and sizes of the model it is for; empty: the file does not say
  int64_t blocks = 0, width = 0;  // at least so many of it, by the names and shapes of the layers; 0: not known
  int64_t updates = 0;            // layers with a low-rank update
  int64_t least_rank = 0, largest_rank = 0;
  int64_t routers = 0;         // layers with a router
  bool only_second = false;    // whether these are of transformer_2, and none of transformer
  int64_t second_tensors = 0;  // otherwise: tensors for transformer_2, of which nothing is counted here
  std::string problem = {};    // why it cannot be used
};

// Empty for a file of other weights. Headers only.
std::optional<AdapterFacts> adapter_facts(const std::filesystem::path& path);

// "MoGA adapter for WanTransformer3DModel of 8 blocks of width 192: 5 groups, combined by lse, routers of 8 layers"
std::string adapter_text(const AdapterFacts& facts);

}  // namespace moga
