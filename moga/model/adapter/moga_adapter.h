// A MoGA adapter: what turns a model with full attention into one with routed groups, in one safetensors file.
//
//   routers      full rank, float32
//   a LoRA       where training made one
//   metadata     moga.attention   the attention's config (JSON)
//                moga.base        class, sizes and a hash of the names and shapes of the model that it is for (JSON)
//
// Written by training and by calibration; `moga generate --adapter` adds it to any base of the same names and shapes.
// Without routers the file is a plain LoRA that other programs read.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "moga/model/adapter/lora_match.h"
#include "moga/model/adapter/low_rank.h"

namespace moga {

// Writes the model's low-rank updates in bfloat16 and its routers. Throws when it has neither.
void save_moga_adapter(const std::filesystem::path& path, const VideoModel& model, AdapterNames names);
// The same with these routers, by their names in the model, of which names and shapes are enough.
void save_moga_adapter(const std::filesystem::path& path, const VideoModel& model, AdapterNames names,
                       const TensorMap& routers);

// "WanTransformer3DModel of 30 blocks of width 1536": the model that a file of ours is for, from its metadata. Empty
// for other files.
std::string base_of_adapter(const Safetensors& file);

// Settings over a transformer's config that set its attention: {"moga.kind=moga", …}.
std::vector<std::string> attention_settings(const VisualAttentionConfig& attention);

class MogaAdapter {
 public:
  // Throws one line when the file is no MoGA adapter.
  explicit MogaAdapter(const std::filesystem::path& path);

  VisualAttentionConfig attention() const;
  // Settings over a transformer's config: {"moga.kind=moga", "moga.groups=5", …}.
  std::vector<std::string> settings() const;
  // Throws one line when it is for another model, or lacks a router that `model` has. `model`: names and shapes.
  void check_fits(const VideoModel& model) const;
  // Copies the routers. The LoRA is applied through lora().
  void apply_routers(VideoModel& model) const;
  const LoraFile& lora() const { return file_; }

 private:
  LoraFile file_;
  std::string attention_, base_;  // JSON
};

}  // namespace moga
