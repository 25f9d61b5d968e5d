// Names of a transformer's tensors that decide how they are stored: routers, and what stays in full precision.
//
//   weights        → the dtype that is asked for (bfloat16)
//   norms, modulations, time embedding, routers, factors of low-rank updates → at least float32
//
// The second group is small and its rounding reaches every token. Names are Wan2.1's; in
// diffusers' names only routers are recognised.
#pragma once

#include <string>

#include "moga/core/device.h"

namespace moga {

// What the name of every tensor of a router contains, in all layouts.
inline constexpr const char* kRouterPart = ".router.";

inline bool is_router(const std::string& name) { return name.find(kRouterPart) != std::string::npos; }

// "blocks.3.self_attn.router."; weight and bias follow.
inline std::string router_prefix(int64_t layer) { return "blocks." + std::to_string(layer) + ".self_attn.router."; }

inline bool stays_wide(const std::string& name) {
  // img_emb.proj.0 and .4 are norms, too.
  for (const char* part :
       {"modulation", "norm", "time_embedding", "img_emb.proj.0.", "img_emb.proj.4.", kRouterPart, ".lora_"})
    if (name.find(part) != std::string::npos) return true;
  return false;
}

// The dtype of the tensor `name` in a transformer whose weights are `dtype`.
inline at::ScalarType kept_dtype(const std::string& name, at::ScalarType dtype) {
  return stays_wide(name) ? wide(dtype) : dtype;
}

}  // namespace moga
