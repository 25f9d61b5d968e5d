// Parameters as a flat, named list. See parameters.h.
#include "moga/train/loop/parameters.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"
#include "moga/core/device.h"

namespace moga {
namespace {

void restore_one(const std::string& name, const at::Tensor& tensor, const at::Tensor& saved,
                 const std::string& source) {
  at::NoGradGuard no_grad;
  check(saved.sizes() == tensor.sizes(), source, ": ", name, " has shape ", saved.sizes(), ", expected ",
        tensor.sizes());
  check(saved.scalar_type() == tensor.scalar_type(), source, ": ", name, " is ", dtype_name(saved.scalar_type()),
        ", expected ", dtype_name(tensor.scalar_type()));
  tensor.detach().copy_(saved);
}

}  // namespace

NamedTensors named_parameters(const torch::nn::Module& module, const std::string& prefix) {
  NamedTensors named;
  for (const auto& item : module.named_parameters())
    if (item.value().requires_grad()) named.emplace_back(prefix + item.key(), item.value());
  return named;
}

NamedTensors store_in_bfloat16(const NamedTensors& parameters,
                               const std::function<bool(const std::string&)>& selected) {
  NamedTensors masters;
  for (const auto& [name, parameter] : parameters) {
    if (!selected(name)) {
      masters.emplace_back(name, parameter);
      continue;
    }
    const at::Tensor master = parameter.detach();
    at::Tensor same = parameter;
    same.set_data(master.to(at::kBFloat16));
    masters.emplace_back(name, master);
  }
  return masters;
}

int64_t element_count(const NamedTensors& named) {
  int64_t count = 0;
  for (const auto& item : named) count += item.second.numel();
  return count;
}

std::vector<at::Tensor> tensors_of(const NamedTensors& named) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(named.size());
  for (const auto& item : named) tensors.push_back(item.second);
  return tensors;
}

TensorMap to_map(const NamedTensors& named) {
  TensorMap map;
  for (const auto& [name, tensor] : named) map.emplace(name, tensor.detach());
  return map;
}

void restore(const NamedTensors& named, const TensorMap& saved, const std::string& source) {
  for (const auto& [name, tensor] : named) {
    const auto found = saved.find(name);
    check(found != saved.end(), source, ": no tensor ", name);
    restore_one(name, tensor, found->second, source);
  }
  check(saved.size() == named.size(), source, ": holds ", saved.size(), " tensors, expected ", named.size());
}

void restore(const NamedTensors& named, const std::filesystem::path& file) {
  const Safetensors saved(file);
  for (const auto& [name, tensor] : named) {
    check(saved.contains(name), file.string(), ": no tensor ", name);
    restore_one(name, tensor, saved.load(name), file.string());
  }
  check(saved.names().size() == named.size(), file.string(), ": holds ", saved.names().size(), " tensors, expected ",
        named.size());
}

}  // namespace moga
