// What makes two runs the same run: models, seed, tokenizer and data. A checkpoint stores it, and resuming with another
// identity is an error. Everything else (learning rates, batch, steps, intervals) may change between runs.
#pragma once

#include <nlohmann/json.hpp>

#include "moga/train/video/config.h"

namespace moga {

nlohmann::json run_identity(const TrainConfig& config);

}  // namespace moga
