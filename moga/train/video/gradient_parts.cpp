// See gradient_parts.h.
#include "moga/train/video/gradient_parts.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "moga/core/check.h"

namespace moga {
namespace {

constexpr std::string_view kTransformer = "transformer.", kBlocks = "transformer.blocks.";

struct Rule {
  std::string_view begin, part;
};
// Names within a block: the first rule that fits. Parameters of low-rank updates carry the names of their layers.
constexpr std::array kOfBlock = {
    Rule{"self_attn.q.", "attention_q"},
    Rule{"self_attn.k.", "attention_k"},
    Rule{"self_attn.v.", "attention_v"},
    Rule{"self_attn.o.", "attention_o"},
    Rule{"self_attn.router.", "router"},
    Rule{"self_attn.norm", "norms"},
    Rule{"cross_attn.norm", "norms"},
    Rule{"cross_attn.", "cross_attention"},
    Rule{"ffn.", "mlp"},
    Rule{"norm", "norms"},
    Rule{"modulation", "modulation"},
};
constexpr std::array kOfModel = {
    Rule{"patch_embedding.", "patch_embedding"},
    Rule{"text_embedding.", "text_embedding"},
    Rule{"time_embedding.", "time_embedding"},
    Rule{"time_projection.", "time_embedding"},
    Rule{"img_emb.", "image_embedding"},
    Rule{"head.modulation", "modulation"},
    Rule{"head.", "head"},
};

template <class Rules>
std::string part_by(const Rules& rules, std::string_view name) {
  const auto rule = std::ranges::find_if(rules, [&](const Rule& each) { return name.starts_with(each.begin); });
  return std::string(rule == rules.end() ? "other" : rule->part);
}

}  // namespace

int64_t block_of(const std::string& parameter) {
  return parameter.starts_with(kBlocks) ? std::stoll(parameter.substr(kBlocks.size())) : -1;
}

std::string gradient_part(const std::string& parameter) {
  const std::string_view name = parameter;
  if (name.starts_with("text_encoder.")) return "text_encoder";
  if (name.starts_with(kBlocks)) return part_by(kOfBlock, name.substr(name.find('.', kBlocks.size()) + 1));
  return name.starts_with(kTransformer) ? part_by(kOfModel, name.substr(kTransformer.size())) : "other";
}

GradientParts::GradientParts(const NamedTensors& parameters) {
  for (const auto& item : parameters) {
    const std::string part = gradient_part(item.first);
    if (!std::ranges::count(parts_, part)) parts_.push_back(part);
    layers_ = std::max(layers_, block_of(item.first) + 1);
  }
}

std::vector<int64_t> GradientParts::sets_of(const std::string& parameter) const {
  const auto part = std::ranges::find(parts_, gradient_part(parameter));
  check(part != parts_.end(), parameter, " belongs to no part of the model");
  std::vector<int64_t> sets = {part - parts_.begin()};
  if (const int64_t layer = block_of(parameter); layer >= 0)
    sets.push_back(static_cast<int64_t>(parts_.size()) + layer);
  return sets;
}

void GradientParts::complete(nlohmann::json& line, const std::vector<double>& norms) const {
  check(static_cast<int64_t>(norms.size()) == sets(), norms.size(), " norms of ", sets(), " parts and layers");
  nlohmann::json& parts = line["gradient_norms"] = nlohmann::json::object();
  for (size_t i = 0; i < parts_.size(); ++i) parts[parts_[i]] = norms[i];
  line["gradient_norm_layers"] = std::vector<double>(norms.begin() + static_cast<int64_t>(parts_.size()), norms.end());
}

}  // namespace moga
