// A run small enough for a test: random latents in two shapes, a tokenizer of their captions, a two-layer model.
#pragma once

#include "moga/model/wan/transformer.h"
#include "moga/train/video/config.h"
#include "tests/support/folder.h"

namespace moga::test {

// Writes shards of `videos` videos and spiece.model into the folder, once a test program.
const Folder& tiny_data();

// A run of one stage on tiny_data() that writes to `out`: 6 steps of 4 videos, float32 on the CPU.
TrainConfig tiny_config(const std::filesystem::path& out);

// The run's transformer, which is Wan2.1's.
TransformerConfig& wan_of(TrainConfig& config);
const TransformerConfig& wan_of(const TrainConfig& config);

}  // namespace moga::test
