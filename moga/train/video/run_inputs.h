// What a training run reads from disk: model folders, tokenizer, shards of every stage. A missing one is an error
// before models are allocated, and before the first stage trains, not when it is needed hours later.
#pragma once

#include "moga/train/video/config.h"

namespace moga {

// Throws one line with the key and the path unless init is empty or a model folder.
void check_init_exists(const TrainConfig& config);
// The same for everything that the run reads. Shards are opened: a damaged or missing one is named.
void check_inputs(const TrainConfig& config);

}  // namespace moga
