// The transformer's weights go by two sets of names: Wan2.1's own, which the modules carry, and diffusers'
// (WanTransformer3DModel). One table relates them; nothing but names differs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "moga/model/layers/weight_layout.h"

namespace moga {

// "blocks.3.self_attn.q.weight" ↔ "blocks.3.attn1.to_q.weight". Empty for a name that the table lacks.
std::optional<std::string> diffusers_name(const std::string& wan_name);
std::optional<std::string> wan_name(const std::string& diffusers_name);

// The layout of a file with these tensor names; throws, naming `source`, when it is neither.
WeightLayout detect_layout(const std::vector<std::string>& names, const std::string& source);

}  // namespace moga
