// The pieces that both ways of writing a checkpoint share (checkpoint.cpp, checkpoint_shards.cpp). Private to the
// folder.
#pragma once

#include "moga/train/loop/checkpoint.h"

namespace moga {

// Size and checksum of a file.
nlohmann::json describe_file(const std::filesystem::path& file);

// state.json, which lists `files` (name → describe_file) and ends with a checksum of itself.
void write_state(const std::filesystem::path& folder, const CheckpointContents& contents, const nlohmann::json& files);

// Removes all but the `keep` newest checkpoints and what a killed run left unfinished.
void remove_unneeded(const std::filesystem::path& run, int64_t keep);

std::filesystem::path save_sharded_checkpoint(const std::filesystem::path& run, const CheckpointContents& contents,
                                              int64_t keep);

}  // namespace moga
