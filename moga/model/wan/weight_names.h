// The transformer's weights have two sets of names: Wan2.1's own, which the modules use, and diffusers'
// (WanTransformer3DModel). One table relates them; only the names differ.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "moga/model/layers/weight_layout.h"

namespace moga {

// "blocks.3.self_attn.q.weight" ↔ "blocks.3.attn1.to_q.weight". Empty for a name that is not in the table.
std::optional<std::string> diffusers_name(const std::string& wan_name);
std::optional<std::string> wan_name(const std::string& diffusers_name);

// The layout of a file with these tensor names. Throws an error that names `source` if it is neither.
WeightLayout detect_layout(const std::vector<std::string>& names, const std::string& source);

}  // namespace moga
