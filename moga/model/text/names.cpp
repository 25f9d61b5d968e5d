// See names.h. One table, without block numbers.
#include "moga/model/text/names.h"

#include <array>
#include <string_view>
#include <utility>

#include "moga/core/check.h"

namespace moga {
namespace {

using Names = std::pair<std::string_view, std::string_view>;

constexpr std::array<Names, 2> kOutsideBlocks = {{
    {"token_embedding.weight", "shared.weight"},
    {"norm.weight", "encoder.final_layer_norm.weight"},
}};

constexpr std::array<Names, 10> kInBlock = {{
    {"norm1.weight", "layer.0.layer_norm.weight"},
    {"attn.q.weight", "layer.0.SelfAttention.q.weight"},
    {"attn.k.weight", "layer.0.SelfAttention.k.weight"},
    {"attn.v.weight", "layer.0.SelfAttention.v.weight"},
    {"attn.o.weight", "layer.0.SelfAttention.o.weight"},
    {"pos_embedding.embedding.weight", "layer.0.SelfAttention.relative_attention_bias.weight"},
    {"norm2.weight", "layer.1.layer_norm.weight"},
    {"ffn.gate.0.weight", "layer.1.DenseReluDense.wi_0.weight"},
    {"ffn.fc1.weight", "layer.1.DenseReluDense.wi_1.weight"},
    {"ffn.fc2.weight", "layer.1.DenseReluDense.wo.weight"},
}};

template <size_t N>
std::string look_up(const std::array<Names, N>& table, std::string_view part, const std::string& name) {
  for (const auto& [wan, hugging_face] : table)
    if (wan == part) return std::string(hugging_face);
  fail("text encoder: no parameter is named ", name);
}

}  // namespace

std::string hugging_face_text_name(const std::string& name) {
  constexpr std::string_view kBlocks = "blocks.";
  if (!name.starts_with(kBlocks)) return look_up(kOutsideBlocks, name, name);
  const size_t dot = name.find('.', kBlocks.size());
  check(dot != std::string::npos, "text encoder: no parameter is named ", name);
  const std::string number = name.substr(kBlocks.size(), dot - kBlocks.size());
  return "encoder.block." + number + "." + look_up(kInBlock, std::string_view(name).substr(dot + 1), name);
}

}  // namespace moga
