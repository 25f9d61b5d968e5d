// See lora_file.h.
#include "moga/model/adapter/lora_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/model/adapter/lora_key.h"
#include "moga/model/layers/kept_precision.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPeftConfig = "adapter_config.json";
constexpr const char* kDiffusersConfig = "lora_adapter_metadata";  // key of the file's metadata
constexpr int64_t kLargestRank = 65536;

std::string* member_of(LoraUpdate& update, LoraMember member) {
  switch (member) {
    case LoraMember::kDown:
      return &update.down;
    case LoraMember::kUp:
      return &update.up;
    case LoraMember::kUpBias:
      return &update.up_bias;
    case LoraMember::kWeightDiff:
      return &update.weight_diff;
    case LoraMember::kBiasDiff:
      return &update.bias_diff;
    case LoraMember::kAlpha:
      break;
  }
  return nullptr;
}

// PEFT's config, from adapter_config.json or from the metadata that diffusers writes ("transformer.lora_alpha").
struct PeftConfig {
  explicit PeftConfig(const nlohmann::json& json, std::string source) : json_(json), source_(std::move(source)) {
    check(!flag("use_dora"), source_, ": use_dora: DoRA is not supported, expected a LoRA");
  }

  // Empty when the config has no alpha.
  std::optional<double> scale(const std::string& target, int64_t rank) const {
    std::optional<double> alpha = number(json_, "lora_alpha");
    if (const auto pattern = json_.find("alpha_pattern"); pattern != json_.end() && pattern->is_object())
      for (const auto& [name, unused] : pattern->items())
        if (target == name || target.ends_with("." + name)) alpha = number(*pattern, name);
    if (!alpha) return std::nullopt;
    const auto r = static_cast<double>(rank);
    return flag("use_rslora") ? *alpha / std::sqrt(r) : *alpha / r;
  }

 private:
  bool flag(const char* key) const { return json_.contains(key) && json_.at(key) == true; }
  std::optional<double> number(const nlohmann::json& from, const std::string& key) const {
    const auto found = from.find(key);
    if (found == from.end() || found->is_null()) return std::nullopt;
    check(found->is_number(), source_, ": ", key, ": expected a number, found ", printable(found->dump()));
    return found->get<double>();
  }

  nlohmann::json json_;
  std::string source_;
};

// The keys after "transformer." of diffusers' metadata, or all where there is no such prefix.
nlohmann::json without_prefix(const nlohmann::json& json) {
  constexpr std::string_view kPrefix = "transformer.";
  nlohmann::json result = nlohmann::json::object();
  for (const auto& [key, value] : json.items())
    result[key.starts_with(kPrefix) ? key.substr(kPrefix.size()) : key] = value;
  return result;
}

std::vector<int64_t> as_matrix(const std::vector<int64_t>& shape) {
  if (shape.empty()) return {0, 0};
  int64_t rest = 1;
  for (size_t i = 1; i < shape.size(); ++i) rest *= shape[i];
  return {shape[0], rest};
}

fs::path file_in(const fs::path& path) {
  const fs::path peft = path / "adapter_model.safetensors";
  return fs::is_directory(path) && fs::exists(peft) ? peft : path;
}

}  // namespace

std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kMost = 6;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMost); ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kMost ? text + " and " + std::to_string(names.size() - kMost) + " more" : text;
}

LoraFile::LoraFile(const fs::path& path, bool second_expert)
    : file_(file_in(path)), config_(fs::path(file_.source()).parent_path() / kPeftConfig) {
  if (fs::path(file_.source()).filename() != "adapter_model.safetensors") config_.clear();
  read_names(second_expert);
  for (auto& [target, update] : updates_) check_shapes(target, update);
  read_scales();
}

void LoraFile::read_names(bool second_expert) {
  const std::vector<std::string> names = file_.names();
  std::vector<std::string> unknown;
  for (const std::string& name : names) {
    check(name.find('\n') == std::string::npos && printable(name) == name, source(),
          ": a tensor's name has control characters: ", quoted(name));
    const auto key = parse_lora_key(name, source());
    if (!key) {
      (is_router(name) ? routers_ : unknown).push_back(name);
      continue;
    }
    if (key->second_expert != second_expert) {
      of_other_.push_back(name);
      continue;
    }
    std::string* member = member_of(updates_[key->target], key->member);
    if (!member) member = &alphas_[key->target];
    check(member->empty(), source(), ": ", *member, " and ", name, " are the same part of ", key->target);
    *member = name;
  }
  check(!updates_.empty() || !routers_.empty() || !of_other_.empty(), source(), ": none of its ", names.size(),
        " tensors is a low-rank update (lora_A, lora_down, diff)", unknown.empty() ? "" : ", first ",
        unknown.empty() ? "" : printable(unknown.front()));
  check(unknown.empty(), source(), ": not understood, ", unknown.size(), " of ", names.size(),
        " keys: ", listed(unknown));
  check(!updates_.empty() || !routers_.empty(), source(), ": its updates are those of ",
        second_expert ? "the first transformer" : "a second expert (transformer_2)", ", first ",
        of_other_.empty() ? "" : of_other_.front());
}

void LoraFile::check_shapes(const std::string& target, LoraUpdate& update) const {
  for (const std::string* name : {&update.down, &update.up, &update.up_bias, &update.weight_diff, &update.bias_diff})
    check(name->empty() || c10::isFloatingType(file_.dtype(*name)), source(), ": ", *name, " holds ",
          name->empty() ? c10::kFloat : file_.dtype(*name), ", expected float32, bfloat16 or float16");
  check(update.down.empty() == update.up.empty(), source(), ": ", update.down.empty() ? update.up : update.down,
        " has no partner: expected both factors of ", target);
  check(!update.down.empty() || update.up_bias.empty(), source(), ": ", update.up_bias, " without factors of ", target);
  check(!update.down.empty() || !alphas_.contains(target), source(), ": alpha without factors of ", target);
  if (update.down.empty()) return;
  const auto down = as_matrix(file_.shape(update.down)), up = as_matrix(file_.shape(update.up));
  update.rank = down[0];
  check(update.rank >= 1 && update.rank <= kLargestRank && up[1] == update.rank && down[1] >= 1 && up[0] >= 1, source(),
        ": ", target, ": factors of shape ", at::IntArrayRef(file_.shape(update.down)), " and ",
        at::IntArrayRef(file_.shape(update.up)), ", expected [rank, in] and [out, rank]");
}

double LoraFile::alpha_in(const std::string& name) const {
  const at::Tensor alpha = file_.load(name);
  check(alpha.numel() == 1, source(), ": ", name, " has shape ", alpha.sizes(), ", expected one number");
  const double value = alpha.to(at::kDouble).item<double>();
  check(std::isfinite(value), source(), ": ", name, " is ", value, ", expected a finite number");
  return value;
}

void LoraFile::read_scales() {
  std::optional<PeftConfig> config;
  const auto metadata = file_.metadata();
  if (!config_.empty() && fs::exists(config_)) {
    config.emplace(parse_json_object(read_text(config_, kMostConfigBytes), config_.string()), config_.string());
  } else if (const auto found = metadata.find(kDiffusersConfig); found != metadata.end()) {
    const std::string where = source() + ": metadata " + kDiffusersConfig;
    config.emplace(without_prefix(parse_json_object(found->second, where)), where);
  }
  for (auto& [target, update] : updates_) {
    if (update.rank == 0) continue;
    const auto alpha = alphas_.find(target);
    if (alpha != alphas_.end())
      update.scale = alpha_in(alpha->second) / static_cast<double>(update.rank);
    else if (config)
      update.scale = config->scale(target, update.rank).value_or(1);
  }
}

}  // namespace moga
