// The parameters of a run as one flat, named list: what the optimiser updates, the EMA averages and a checkpoint holds.
// The order is that of registration, so it is the same in every run of the same model.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "moga/core/safetensors.h"

namespace moga {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// Which part of a tensor a rank holds where the state of training is sharded: [n] elements of the flattened tensor of
// `shape`, from `begin` on.
struct Placement {
  std::vector<int64_t> shape;
  int64_t begin = 0;
};
using Placements = std::map<std::string, Placement>;  // by name; a tensor without one is whole, alike on all ranks

// The parameters of `module` that require a gradient, each named prefix + its own name.
NamedTensors named_parameters(const torch::nn::Module& module, const std::string& prefix = "");

// Gives the parameters that `selected` names storage in bfloat16 and returns the float32 masters of all, in their
// order: for the others the parameter itself.
NamedTensors store_in_bfloat16(const NamedTensors& parameters, const std::function<bool(const std::string&)>& selected);

int64_t element_count(const NamedTensors& named);

std::vector<at::Tensor> tensors_of(const NamedTensors& named);

// A view for saving: names and tensors, nothing copied.
TensorMap to_map(const NamedTensors& named);

// Copies `saved` into `named`. Throws when a name is missing or superfluous, or a shape or dtype differs; `source`
// names the file.
void restore(const NamedTensors& named, const TensorMap& saved, const std::string& source);
// The same from a file, one tensor at a time.
void restore(const NamedTensors& named, const std::filesystem::path& file);

}  // namespace moga
