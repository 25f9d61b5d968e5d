// See low_rank.h.
#include "moga/model/adapter/low_rank.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "moga/core/check.h"
#include "moga/model/layers/product_weight.h"

namespace moga {
namespace {

// "self_attn.q" of "blocks.3.self_attn.q"; empty outside of blocks.
std::string name_in_block(const std::string& layer) {
  constexpr std::string_view kBlocks = "blocks.";
  const size_t dot = layer.find('.', kBlocks.size());
  return layer.starts_with(kBlocks) && dot != std::string::npos ? layer.substr(dot + 1) : "";
}

bool is_target(const std::string& name, const std::vector<std::string>& targets) {
  return std::ranges::any_of(
      targets, [&](const std::string& target) { return name == target || name.starts_with(target + "."); });
}

std::string joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void add_update(ProductWeight& layer, const LoraConfig& config, at::Device device) {
  const at::TensorOptions floats(at::kFloat);
  const double bound = 1 / std::sqrt(static_cast<double>(layer.in()));
  const at::Tensor down = at::empty({config.rank, layer.in()}, floats).uniform_(-bound, bound);
  layer.add_low_rank(down.to(device), at::zeros({layer.out(), config.rank}, floats.device(device)), config.scale());
}

}  // namespace

double LoraConfig::scale() const {
  const auto r = static_cast<double>(rank);
  return (alpha == 0 ? r : alpha) / (rank_stabilised ? std::sqrt(r) : r);
}

void LoraConfig::validate() const {
  check(rank >= 0 && rank <= 4096, "lora: rank is ", rank, ", expected 0 to 4096");
  check(std::isfinite(alpha) && alpha >= 0, "lora: alpha is ", alpha, ", expected 0 or more");
  check(rank == 0 || !targets.empty() || train_routers, "lora: targets is empty, and train_routers is off");
}

void train_low_rank(VideoModel& model, const LoraConfig& config, at::Device device) {
  const at::NoGradGuard no_grad;
  for (const auto& item : model.named_parameters())
    item.value().requires_grad_(config.train_routers && is_router(item.key()));
  std::set<std::string> layers;  // of a block
  for (const auto& item : model.named_modules("", /*include_self=*/false)) {
    auto* layer = dynamic_cast<ProductWeight*>(item.value().get());
    const std::string name = name_in_block(item.key());
    if (!layer || name.empty()) continue;
    layers.insert(name);
    if (is_target(name, config.targets)) add_update(*layer, config, device);
  }
  for (const std::string& target : config.targets)
    check(std::ranges::any_of(layers, [&](const auto& name) { return is_target(name, {target}); }), "lora: target '",
          target, "' is no layer of a block; expected some of ", joined(layers));
}

}  // namespace moga
