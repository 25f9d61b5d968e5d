// A module's parameters and buffers by name: from a safetensors file into the module, and as a map to save.
#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <string>
#include <vector>

#include "moga/core/safetensors.h"

namespace moga {

// The parameters and buffers themselves, not copies.
TensorMap named_tensors(const torch::nn::Module& module);

struct LoadOptions {
  // Name in the file of the module's tensor of the given name; unset: the same. Tables of other layouts go here.
  std::function<std::string(const std::string&)> file_name_of;
  // Tensors whose name contains one of these may be absent from the file and then keep their values (".router.").
  std::vector<std::string> optional;
};

struct LoadReport {
  std::vector<std::string> kept;    // optional tensors of the module that the file lacks, by their names in a file
  std::vector<std::string> unused;  // tensors of the file that the module lacks
};

struct Misfit {
  std::string name;     // in the file
  std::string problem;  // "is missing, expected shape [2]", "has shape [3], expected [2]"
  bool missing;
};

struct FileFit {
  std::map<std::string, std::string> file_names;  // of the module's tensors, but for those that are kept
  std::vector<Misfit> misfits;                    // in the order of the module's names
  LoadReport report;
};

// By names and shapes alone: the module's tensors may be on the meta device.
FileFit file_fit(const torch::nn::Module& module, const Safetensors& file, const LoadOptions& options = {});

// Copies the file's tensors into the module, to each tensor's own device and dtype. Nothing is copied unless all fits:
// throws one line with the first tensor that is missing or has another shape, and how many more there are.
LoadReport load_parameters(torch::nn::Module& module, const Safetensors& file, const LoadOptions& options = {});

}  // namespace moga
