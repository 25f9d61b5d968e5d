// The sizes that commands name: Wan2.1's two models, and what of a model its cost depends on.
#pragma once

#include "moga/attention/cost.h"
#include "moga/model/wan/transformer.h"

namespace moga {

// "1.3B" or "14B" (Wan2.1), or the path of a config.json or of a model folder (transformer/config.json in it).
TransformerConfig named_model(const std::string& name);

ModelShape model_shape(const TransformerConfig& config);

}  // namespace moga
