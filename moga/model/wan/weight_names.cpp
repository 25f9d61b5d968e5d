// See weight_names.h. The pairs follow diffusers' scripts/convert_wan_to_diffusers.py; the router is ours.
#include "moga/model/wan/weight_names.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "moga/core/check.h"

namespace moga {
namespace {

struct Pair {
  std::string_view wan, diffusers;  // prefixes of names
};

constexpr std::array kModelPairs = {
    Pair{"patch_embedding.", "patch_embedding."},
    Pair{"text_embedding.0.", "condition_embedder.text_embedder.linear_1."},
    Pair{"text_embedding.2.", "condition_embedder.text_embedder.linear_2."},
    Pair{"time_embedding.0.", "condition_embedder.time_embedder.linear_1."},
    Pair{"time_embedding.2.", "condition_embedder.time_embedder.linear_2."},
    Pair{"time_projection.1.", "condition_embedder.time_proj."},
    Pair{"img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"},
    Pair{"img_emb.proj.0.", "condition_embedder.image_embedder.norm1."},
    Pair{"img_emb.proj.1.", "condition_embedder.image_embedder.ff.net.0.proj."},
    Pair{"img_emb.proj.3.", "condition_embedder.image_embedder.ff.net.2."},
    Pair{"img_emb.proj.4.", "condition_embedder.image_embedder.norm2."},
    Pair{"head.head.", "proj_out."},
    Pair{"head.modulation", "scale_shift_table"},
};

// After "blocks.N.". diffusers numbers the norms in the order of their use, Wan does not.
constexpr std::array kBlockPairs = {
    Pair{"modulation", "scale_shift_table"},
    Pair{"norm3.", "norm2."},
    Pair{"self_attn.q.", "attn1.to_q."},
    Pair{"self_attn.k.", "attn1.to_k."},
    Pair{"self_attn.v.", "attn1.to_v."},
    Pair{"self_attn.o.", "attn1.to_out.0."},
    Pair{"self_attn.norm_q.", "attn1.norm_q."},
    Pair{"self_attn.norm_k.", "attn1.norm_k."},
    Pair{"self_attn.router.", "attn1.router."},
    Pair{"cross_attn.q.", "attn2.to_q."},
    Pair{"cross_attn.k.", "attn2.to_k."},
    Pair{"cross_attn.v.", "attn2.to_v."},
    Pair{"cross_attn.o.", "attn2.to_out.0."},
    Pair{"cross_attn.norm_q.", "attn2.norm_q."},
    Pair{"cross_attn.norm_k.", "attn2.norm_k."},
    Pair{"cross_attn.k_img.", "attn2.add_k_proj."},
    Pair{"cross_attn.v_img.", "attn2.add_v_proj."},
    Pair{"cross_attn.norm_k_img.", "attn2.norm_added_k."},
    Pair{"ffn.0.", "ffn.net.0.proj."},
    Pair{"ffn.2.", "ffn.net.2."},
};

// Length of the prefix "blocks.N." of a name, or 0.
size_t block_prefix(std::string_view name) {
  constexpr std::string_view kBlocks = "blocks.";
  if (!name.starts_with(kBlocks)) return 0;
  const size_t dot = name.find('.', kBlocks.size());
  return dot == std::string_view::npos ? 0 : dot + 1;
}

template <size_t n>
std::optional<std::string> translate(std::string_view name, const std::array<Pair, n>& pairs,
                                     std::string_view Pair::*from, std::string_view Pair::*to) {
  for (const Pair& pair : pairs)
    if (name.starts_with(pair.*from)) return std::string(pair.*to).append(name.substr((pair.*from).size()));
  return std::nullopt;
}

std::optional<std::string> translate(std::string_view name, std::string_view Pair::*from, std::string_view Pair::*to) {
  const size_t prefix = block_prefix(name);
  if (prefix == 0) return translate(name, kModelPairs, from, to);
  auto rest = translate(name.substr(prefix), kBlockPairs, from, to);
  if (rest) rest->insert(0, name.substr(0, prefix));
  return rest;
}

}  // namespace

std::optional<std::string> diffusers_name(const std::string& wan_name) {
  return translate(wan_name, &Pair::wan, &Pair::diffusers);
}

std::optional<std::string> wan_name(const std::string& diffusers_name) {
  return translate(diffusers_name, &Pair::diffusers, &Pair::wan);
}

WeightLayout detect_layout(const std::vector<std::string>& names, const std::string& source) {
  // Decided by majority, so that a file with missing tensors is still recognised and they can be named.
  const auto wan = std::ranges::count_if(names, [](const auto& name) { return diffusers_name(name).has_value(); });
  const auto diffusers = std::ranges::count_if(names, [](const auto& name) { return wan_name(name).has_value(); });
  if (wan != diffusers) return wan > diffusers ? WeightLayout::kWan : WeightLayout::kDiffusers;
  fail(source, ": no transformer weights: neither Wan2.1's names (time_projection.1.weight) nor diffusers' ",
       "(condition_embedder.time_proj.weight) among ", names.size(), " tensors");
}

}  // namespace moga
