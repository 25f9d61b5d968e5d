// Checkpoints of a run: RUN/step-00001000/ with one safetensors file per part (weights, EMA, optimiser), the complete
// config and state.json, which lists size and checksum of every file and ends with a checksum of itself.
//
// A checkpoint is written under a temporary name, synced and renamed, so it is whole or absent. Damage after that is
// found when it is opened: no part of a damaged checkpoint is used.
//
// Where the state is sharded, every rank writes a file per part (checkpoint_parts.h), in parallel; the folder appears
// once all of them have.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "moga/parallel/process_group.h"
#include "moga/train/loop/parameters.h"

namespace moga {

// "step-00001000": the name of a checkpoint's folder and of a contact sheet.
std::string step_name(int64_t step);

struct CheckpointContents {
  int64_t step = 0;
  nlohmann::json state;                    // what the training loop needs besides tensors
  std::map<std::string, TensorMap> parts;  // "model" → model.safetensors, …
  std::string config;                      // config.toml
  Placements placements = {};              // of the rank's pieces; empty: one rank writes everything
  ProcessGroup ranks = {};                 // that write together
};

// Writes RUN/step-<step>, then removes all but the `keep` newest checkpoints and what a killed run left unfinished.
// Returns the new folder. With placements every rank calls it, with its own pieces.
std::filesystem::path save_checkpoint(const std::filesystem::path& run, const CheckpointContents& contents,
                                      int64_t keep);

struct Checkpoint {
  std::filesystem::path folder;
  int64_t step = 0;
  nlohmann::json state;
  nlohmann::json files;  // name → size and checksum

  // The file of a part. Throws when the checkpoint does not have it.
  std::filesystem::path file_of(const std::string& part) const;
  // Its file, or all of its shards.
  std::vector<std::filesystem::path> files_of(const std::string& part) const;
};

// Reads and verifies one checkpoint. Throws "FOLDER is damaged: FILE …", naming the first file that is missing or has
// another size or checksum.
Checkpoint open_checkpoint(const std::filesystem::path& folder);

// The checkpoint requested by --resume: "" means none, "auto" the newest of the run, if any; otherwise it is a folder.
// A damaged one is an error that names it and offers the newest whole one before it, which is never used silently.
std::optional<Checkpoint> resume_checkpoint(const std::filesystem::path& run, const std::string& request);

// The checkpoints of a run, newest first.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& run);

}  // namespace moga
