// The name of a tensor in a LoRA file, taken apart:
//
//   transformer.blocks.0.attn1.to_q.lora_A.weight          diffusers, PEFT
//   diffusion_model.blocks.0.self_attn.q.lora_down.weight  original names, ComfyUI
//   lora_unet_blocks_0_self_attn_q.alpha                   kohya, musubi-tuner
//   └ prefix ──────┘ └ target ──────────────┘ └ member ┘
//
// Which layer of a model a target is, lora_match.h finds out.
#pragma once

#include <optional>
#include <string>

namespace moga {

enum class LoraMember {
  kDown,        // A [r, in]
  kUp,          // B [out, r]
  kUpBias,      // of B: added to the layer's bias, scaled as the update
  kAlpha,       // the update is scaled by alpha / r
  kWeightDiff,  // a full difference of the weight
  kBiasDiff,    // and of the bias
};

struct LoraKey {
  bool second_expert = false;  // "transformer_2." of diffusers
  std::string target;          // "blocks.0.attn1.to_q"; kohya's with "_" for "."
  LoraMember member = LoraMember::kDown;
};

// Empty for a name that is none of these. Throws one line, which begins with `source`, for kinds of updates that are
// known and not supported: DoRA, LoHa, LoKr, OFT, updates of a text encoder.
std::optional<LoraKey> parse_lora_key(const std::string& name, const std::string& source);

// Without the prefix of a program: "blocks.0.self_attn.router.weight".
std::string without_lora_prefix(const std::string& name);

}  // namespace moga
