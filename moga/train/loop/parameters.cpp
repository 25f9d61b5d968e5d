// Parameters as a flat, named list. See parameters.h.
#include "moga/train/loop/parameters.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"

namespace moga {

NamedTensors named_parameters(const torch::nn::Module& module, const std::string& prefix) {
  NamedTensors named;
  for (const auto& item : module.named_parameters())
    if (item.value().requires_grad()) named.emplace_back(prefix + item.key(), item.value());
  return named;
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
  at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : named) {
    const auto found = saved.find(name);
    check(found != saved.end(), source, ": no tensor ", name);
    check(found->second.sizes() == tensor.sizes(), source, ": ", name, " has shape ", found->second.sizes(),
          ", expected ", tensor.sizes());
    tensor.detach().copy_(found->second);
  }
  check(saved.size() == named.size(), source, ": holds ", saved.size(), " tensors, expected ", named.size());
}

}  // namespace moga
