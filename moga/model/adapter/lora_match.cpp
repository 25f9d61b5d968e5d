// See lora_match.h.
#include "moga/model/adapter/lora_match.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/module_io.h"
#include "moga/model/layers/product_weight.h"

namespace moga {
namespace {

std::string layer_of(const std::string& tensor) {
  for (const std::string_view member : {".weight", ".bias"})
    if (tensor.ends_with(member)) return tensor.substr(0, tensor.size() - member.size());
  return tensor;
}

std::string underscored(std::string name) {
  std::ranges::replace(name, '.', '_');
  return name;
}

// A layer's weight, or the tensor of that name.
const at::Tensor& weight_of(const TensorMap& tensors, const std::string& layer) {
  const auto weight = tensors.find(layer + ".weight");
  return weight == tensors.end() ? tensors.at(layer) : weight->second;
}

using Modules = torch::OrderedDict<std::string, std::shared_ptr<torch::nn::Module>>;

std::shared_ptr<ProductWeight> product_of(const Modules& modules, const std::string& layer) {
  const auto* module = modules.find(layer);
  return module ? std::dynamic_pointer_cast<ProductWeight>(*module) : nullptr;
}

// tensor += scale · difference, rounded once.
void add_difference(const at::Tensor& tensor, const at::Tensor& difference, double scale) {
  tensor.detach().copy_(tensor.detach().to(at::kFloat).cpu().add(difference.to(at::kFloat), scale));
}

}  // namespace

std::map<std::string, std::string> layer_spellings(const VideoModel& model) {
  std::map<std::string, std::string> spellings;
  for (const auto& item : model.named_parameters()) {
    if (is_low_rank(item.key())) continue;
    for (const auto& layout : kChoices<WeightLayout>) {
      const std::string name = layer_of(model.name_in(layout.value, item.key()));
      spellings[name] = spellings[underscored(name)] = layer_of(item.key());
    }
  }
  return spellings;
}

LoraMatch::LoraMatch(const LoraFile& file, const VideoModel& model) : file_(file.file()) {
  const auto spellings = layer_spellings(model);
  std::vector<std::string> unmatched;
  std::map<std::string, std::string> taken;  // own name → target
  for (const auto& [target, update] : file.updates()) {
    const auto own = spellings.find(target);
    if (own == spellings.end()) {
      unmatched.push_back(target);
      continue;
    }
    const auto [other, fresh] = taken.emplace(own->second, target);
    check(fresh, file.source(), ": ", other->second, " and ", target, " are the same layer");
    targets_.push_back({own->second, update});
  }
  check(unmatched.empty(), file.source(), ": ", unmatched.size(), " of ", file.updates().size(),
        " updated layers are not in the model: ", listed(unmatched));
  const TensorMap tensors = named_tensors(model);
  const Modules modules = model.named_modules("", /*include_self=*/false);
  for (const Target& target : targets_) check_target(target, tensors, product_of(modules, target.layer) != nullptr);
  for (const Target& target : targets_)
    for (const std::string* name : {&target.update.down, &target.update.up, &target.update.up_bias,
                                    &target.update.weight_diff, &target.update.bias_diff})
      if (!name->empty()) check_finite(*name);
}

void LoraMatch::check_target(const Target& target, const TensorMap& tensors, bool is_product) const {
  const LoraUpdate& update = target.update;
  const at::Tensor& weight = weight_of(tensors, target.layer);
  const auto check_shape = [&](const std::string& name, const at::Tensor& expected) {
    if (name.empty()) return;
    const std::vector<int64_t> shape = file_.shape(name);
    check(expected.sizes() == at::IntArrayRef(shape), file_.source(), ": ", name, " has shape ", at::IntArrayRef(shape),
          ", ", target.layer, " of the model has ", expected.sizes());
  };
  check_shape(update.weight_diff, weight);
  const auto bias = tensors.find(target.layer + ".bias");
  for (const std::string* name : {&update.bias_diff, &update.up_bias}) {
    check(name->empty() || bias != tensors.end(), file_.source(), ": ", *name, ": ", target.layer,
          " of the model has no bias");
    if (!name->empty()) check_shape(*name, bias->second);
  }
  if (update.rank == 0) return;
  check(is_product, file_.source(), ": ", update.down, ": ", target.layer, " of the model is no product");
  const int64_t in = weight.numel() / weight.size(0), out = weight.size(0);
  const std::vector<int64_t> down = file_.shape(update.down), up = file_.shape(update.up);
  check(c10::multiply_integers(down) == update.rank * in && up[0] == out, file_.source(), ": ", target.layer,
        ": factors of shape ", at::IntArrayRef(down), " and ", at::IntArrayRef(up), " for a weight of ", weight.sizes(),
        " in the model");
}

void LoraMatch::check_finite(const std::string& name) const {
  check(file_.load(name).to(at::kFloat).isfinite().all().item<bool>(), file_.source(), ": ", name,
        " holds NaN or infinity, expected finite numbers");
}

void LoraMatch::apply(VideoModel& model, double weight, at::Device device, at::ScalarType dtype) const {
  const at::NoGradGuard no_grad;
  const TensorMap tensors = named_tensors(model);
  const Modules modules = model.named_modules("", /*include_self=*/false);
  for (const auto& [layer, update] : targets_) {
    const auto product = product_of(modules, layer);
    if (update.rank > 0) {
      const auto factor = [&](const std::string& name) { return file_.load(name).flatten(1).to(device, dtype); };
      product->add_low_rank(factor(update.down), factor(update.up), weight * update.scale);
    }
    if (!update.weight_diff.empty()) {
      check(!product || !product->in_8_bits(), file_.source(), ": ", update.weight_diff,
            ": a full difference cannot be added to a weight in 8 bits");
      add_difference(weight_of(tensors, layer), file_.load(update.weight_diff), weight);
    }
    if (!update.bias_diff.empty()) add_difference(tensors.at(layer + ".bias"), file_.load(update.bias_diff), weight);
    if (!update.up_bias.empty())
      add_difference(tensors.at(layer + ".bias"), file_.load(update.up_bias), weight * update.scale);
  }
}

int64_t LoraMatch::largest_rank() const {
  int64_t rank = 0;
  for (const Target& target : targets_) rank = std::max(rank, target.update.rank);
  return rank;
}

}  // namespace moga
