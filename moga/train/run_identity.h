// What makes two runs the same run: models, seed, tokenizer and data. A checkpoint remembers it, and going on with
// another is an error; everything else (learning rates, batch, steps, intervals) may change between runs.
#pragma once

#include <nlohmann/json.hpp>

#include "moga/train/config.h"

namespace moga {

nlohmann::json run_identity(const TrainConfig& config);

// Throws naming the first key that differs. Stages may have been added since.
void check_same_run(const nlohmann::json& checkpoint, const nlohmann::json& config, const std::string& source);

}  // namespace moga
