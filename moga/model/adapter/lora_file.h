// A LoRA file by layers: which tensors of it update which target, and by which scale. Headers and single numbers are
// read here, the factors when they are applied (lora_match.h). PEFT's folders (adapter_model.safetensors with
// adapter_config.json) are read as well.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "moga/core/safetensors.h"

namespace moga {

// The update of one layer. Names of tensors of the file; empty where it has none.
struct LoraUpdate {
  std::string down, up, up_bias, weight_diff, bias_diff;
  int64_t rank = 0;  // 0 without down and up
  double scale = 1;  // alpha / rank, or as the file's metadata says; 1 where it says nothing
};

class LoraFile {
 public:
  // Throws one line when the file cannot be read, holds no updates or a kind that is not supported, when half of a pair
  // is missing, or a shape, dtype or number is not that of an update. `second_expert`: the updates of "transformer_2".
  explicit LoraFile(const std::filesystem::path& path, bool second_expert = false);

  const std::string& source() const { return file_.source(); }
  const Safetensors& file() const { return file_; }
  const std::map<std::string, LoraUpdate>& updates() const { return updates_; }  // by target
  // Tensors that belong to a MoGA adapter (moga_adapter.h): routers.
  const std::vector<std::string>& routers() const { return routers_; }
  // Updates of the other expert, which were skipped.
  const std::vector<std::string>& of_other_expert() const { return of_other_; }

 private:
  void read_names(bool second_expert);
  void read_scales();
  double alpha_in(const std::string& name) const;
  void check_shapes(const std::string& target, LoraUpdate& update) const;

  Safetensors file_;
  std::filesystem::path config_;  // adapter_config.json next to it; may not exist
  std::map<std::string, LoraUpdate> updates_;
  std::map<std::string, std::string> alphas_;  // target → name of the tensor
  std::vector<std::string> routers_, of_other_;
};

// "a, b, c and 12 more"
std::string listed(const std::vector<std::string>& names);

}  // namespace moga
