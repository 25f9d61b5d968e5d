// See shard_units.h.
#include "moga/train/video/shard_units.h"

#include <ATen/ATen.h>

#include <set>
#include <tuple>

#include "moga/core/check.h"
#include "moga/model/layers/kept_precision.h"
#include "moga/train/video/gradient_parts.h"

namespace moga {
namespace {

constexpr int64_t kUnitElements = int64_t{1} << 26;  // of a unit outside of blocks: 256 MiB of float32 gradients

// Trained or not, of both models.
NamedTensors all_parameters(const TrainModels& models) {
  NamedTensors named;
  for (const auto& item : models.transformer->named_parameters())
    named.emplace_back("transformer." + item.key(), item.value());
  if (!models.text_encoder) return named;
  for (const auto& item : models.text_encoder->named_parameters())
    named.emplace_back("text_encoder." + item.key(), item.value());
  return named;
}

}  // namespace

Shard shard_of(const TrainConfig& config, const ProcessGroup& ranks) {
  const Shard shard = config.parallel.shard;
  return ranks.size() == 1 || shard == Shard::kAuto ? Shard::kNone : shard;
}

at::ScalarType stored_dtype(const TrainConfig& config, const std::string& name) {
  return config.weights == Storage::kFloat32 ? at::kFloat : kept_dtype(name, at::kBFloat16);
}

std::vector<ShardedState::Unit> shard_units(const TrainConfig& config, const TrainModels& models, Shard shard,
                                            at::Device device) {
  const at::ScalarType usual = config.weights == Storage::kFloat32 ? at::kFloat : at::kBFloat16;
  using Key = std::tuple<int64_t, bool, at::ScalarType, bool>;  // block, sharded, dtype, trained
  std::map<Key, ShardedState::Unit> open;
  std::vector<ShardedState::Unit> units;
  for (const auto& [name, parameter] : all_parameters(models)) {
    const at::ScalarType dtype = stored_dtype(config, name);
    const bool trained = parameter.requires_grad();
    const bool sharded = shard == Shard::kFull && block_of(name) >= 0 && dtype == usual;
    if (!sharded && !trained) continue;
    const int64_t block = shard == Shard::kFull && !sharded ? -1 : block_of(name);
    const Key key = {block, sharded, dtype, trained};
    ShardedState::Unit& unit = open[key];
    unit.options = {
        .dtype = dtype, .device = device, .holding = sharded ? Holding::kSharded : Holding::kWhole, .trained = trained};
    unit.parameters.emplace_back(name, parameter);
    if (block >= 0 || element_count(unit.parameters) < kUnitElements) continue;
    units.push_back(std::move(unit));
    open.erase(key);
  }
  for (auto& item : open) units.push_back(std::move(item.second));
  return units;
}

void place_others(const TrainConfig& config, const TrainModels& models, const std::vector<ShardedState::Unit>& units,
                  at::Device device) {
  const at::NoGradGuard no_grad;
  std::set<std::string> in_units;
  for (const ShardedState::Unit& unit : units)
    for (const auto& item : unit.parameters) in_units.insert(item.first);
  for (auto& [name, parameter] : all_parameters(models))
    if (!in_units.contains(name)) parameter.set_data(parameter.detach().to(device, stored_dtype(config, name)));
  for (at::Tensor& buffer : models.transformer->buffers()) buffer.set_data(buffer.to(device));
  if (!models.text_encoder) return;
  for (at::Tensor& buffer : models.text_encoder->buffers()) buffer.set_data(buffer.to(device));
}

std::vector<std::shared_ptr<torch::nn::Module>> blocks_of(const torch::nn::Module& model) {
  const auto modules = model.named_children();
  check(modules.contains("blocks"), "the model has no blocks: its state cannot be sharded");
  return modules["blocks"]->children();
}

}  // namespace moga
