// Checkpoints of a run: RUN/step-00001000/ with one safetensors file a part (weights, EMA, optimiser), the complete
// config and state.json, which lists every file's size and checksum. A folder is written under a temporary name, synced
// and renamed, so a checkpoint is whole or absent; what a disk did to it afterwards is found by the checksums.
#pragma once

#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "moga/core/safetensors.h"

namespace moga {

// "step-00001000": the name of a checkpoint's folder and of a contact sheet.
std::string step_name(int64_t step);

struct CheckpointContents {
  int64_t step = 0;
  nlohmann::json state;                    // whatever the trainer needs beside tensors
  std::map<std::string, TensorMap> parts;  // "model" → model.safetensors, …
  std::string config;                      // config.toml
};

// Writes RUN/step-<step>, then removes all but the `keep` newest checkpoints. Returns the new folder.
std::filesystem::path save_checkpoint(const std::filesystem::path& run, const CheckpointContents& contents,
                                      int64_t keep);

struct Checkpoint {
  std::filesystem::path folder;
  int64_t step = 0;
  nlohmann::json state;

  TensorMap load(const std::string& part, c10::Device device = c10::Device(c10::kCPU)) const;
};

// Reads and verifies one checkpoint. Throws "FOLDER is damaged: FILE …", naming the first file that is missing, has
// another size or another checksum.
Checkpoint open_checkpoint(const std::filesystem::path& folder);

// What --resume asks for: "" nothing; "auto" the newest checkpoint of the run, nothing when it has none; else a folder.
// A damaged one is refused by name, and the newest whole one before it is offered; it is never taken silently.
std::optional<Checkpoint> resume_checkpoint(const std::filesystem::path& run, const std::string& request);

// The checkpoints of a run, newest first.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& run);

}  // namespace moga
