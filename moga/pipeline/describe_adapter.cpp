// See describe_adapter.h.
#include "moga/pipeline/describe_adapter.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "moga/core/check.h"
#include "moga/model/adapter/moga_adapter.h"

namespace moga {
namespace {

// The number of the block in "blocks.12.attn1.to_q" or kohya's "blocks_12_attn1_to_q".
std::optional<int64_t> block_of(const std::string& target) {
  const size_t found = target.find("blocks");
  if (found == std::string::npos || found + 7 >= target.size()) return std::nullopt;
  int64_t block = 0;
  const char *begin = target.data() + found + 7, *end = target.data() + target.size();
  return std::from_chars(begin, end, block).ec == std::errc() ? std::optional(block) : std::nullopt;
}

bool is_query(const std::string& target) {
  return std::ranges::any_of(std::array{"self_attn.q", "self_attn_q", "attn1.to_q", "attn1_to_q"},
                             [&](const char* name) { return target.ends_with(name); });
}

void add_updates(AdapterFacts& facts, const LoraFile& file) {
  for (const auto& [target, update] : file.updates()) {
    ++facts.updates;
    if (const auto block = block_of(target)) facts.blocks = std::max(facts.blocks, *block + 1);
    if (update.rank == 0) continue;
    facts.least_rank = facts.least_rank == 0 ? update.rank : std::min(facts.least_rank, update.rank);
    facts.largest_rank = std::max(facts.largest_rank, update.rank);
    const std::vector<int64_t> down = file.file().shape(update.down);
    if (is_query(target) && down.size() == 2) facts.width = down[1];
  }
}

// A router is a weight and a bias.
void add_routers(AdapterFacts& facts, const LoraFile& file) {
  facts.routers = std::ranges::count_if(file.routers(), [](const auto& name) { return name.ends_with(".weight"); });
}

// One of the signs of an adapter among names; weights of a model have none.
bool looks_like_one(const Safetensors& file) {
  return file.metadata().contains("moga.base") || std::ranges::any_of(file.names(), [](const std::string& name) {
           return name.find("lora_") != std::string::npos || name.find(".lora.") != std::string::npos ||
                  name.find(".hada_") != std::string::npos || name.find(".lokr_") != std::string::npos;
         });
}

LoraFile open(const std::filesystem::path& path, AdapterFacts& facts) {
  try {
    LoraFile file(path);
    facts.second_tensors = static_cast<int64_t>(file.of_other_expert().size());
    return file;
  } catch (const Error&) {
    LoraFile file(path, /*second_expert=*/true);
    facts.only_second = true;
    return file;
  }
}

void read(AdapterFacts& facts, const std::filesystem::path& path) {
  const LoraFile file = open(path, facts);
  facts.base = base_of_adapter(file.file());
  add_updates(facts, file);
  add_routers(facts, file);
  if (file.file().metadata().contains("moga.attention")) facts.attention = MogaAdapter(path).attention();
}

std::string layers(int64_t number) { return std::to_string(number) + (number == 1 ? " layer" : " layers"); }

std::string attention_text(const VisualAttentionConfig& attention) {
  std::string text = std::string(name_of(attention.kind)) + " attention with " + std::to_string(attention.groups) +
                     " groups, combined by " + name_of(attention.combine);
  if (!attention.full_layers.empty()) text += ", full in " + layers(static_cast<int64_t>(attention.full_layers.size()));
  return text;
}

std::string base_text(const AdapterFacts& facts) {
  if (!facts.base.empty()) return " for " + facts.base;
  if (facts.blocks == 0) return "";
  std::string text = " for a model of at least " + std::to_string(facts.blocks) + " blocks";
  if (facts.width > 0) text += " of width " + std::to_string(facts.width);
  return text + ", which the file does not name";
}

std::string updates_text(const AdapterFacts& facts) {
  std::string text = "updates of " + layers(facts.updates) + (facts.only_second ? " of transformer_2" : "");
  if (facts.largest_rank > 0) text += " of rank " + std::to_string(facts.least_rank);
  if (facts.largest_rank > facts.least_rank) text += " to " + std::to_string(facts.largest_rank);
  return text;
}

}  // namespace

std::optional<AdapterFacts> adapter_facts(const std::filesystem::path& path) {
  AdapterFacts facts;
  try {
    read(facts, path);
  } catch (const Error& error) {
    if (!looks_like_one(Safetensors(path))) return std::nullopt;
    facts.problem = error.what();
  }
  return facts;
}

std::string adapter_text(const AdapterFacts& facts) {
  if (!facts.problem.empty()) return "an adapter that cannot be used: " + facts.problem;
  std::vector<std::string> parts;
  if (facts.attention) parts.push_back(attention_text(*facts.attention));
  if (facts.routers > 0) parts.push_back("routers of " + layers(facts.routers));
  if (facts.updates > 0) parts.push_back(updates_text(facts));
  if (facts.second_tensors > 0) parts.push_back(std::to_string(facts.second_tensors) + " tensors for transformer_2");
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? ": " : "; ") + part;
  return (facts.attention ? "MoGA adapter" : "LoRA") + base_text(facts) + text;
}

}  // namespace moga
