// A module's parameters and buffers by name: loaded from a safetensors file, or returned as a map to save.
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
  // Maps the name of a module's tensor to its name in the file; unset if they are the same. Used for other layouts.
  std::function<std::string(const std::string&)> file_name_of;
  // Tensors whose name contains one of these strings (".router.") may be absent from the file; they keep their values.
  std::vector<std::string> optional;
  // Tensors of the file whose name contains one of these strings ("rope.freqs") may be left unused.
  std::vector<std::string> harmless = {};
};

struct LoadReport {
  std::vector<std::string> kept;      // optional tensors that are not in the file, by their names in a file
  std::vector<std::string> unused;    // tensors of the file that the module does not have
  std::vector<std::string> harmless;  // unused tensors that LoadOptions::harmless names; not in `unused`
};

struct Misfit {
  std::string name;     // in the file
  std::string problem;  // "is missing, expected shape [2]", "has shape [3], expected [2]"
  bool missing;
};

struct FileFit {
  std::string source;                             // the file, for errors
  std::map<std::string, std::string> file_names;  // of the module's tensors, except those in `kept`
  std::vector<Misfit> misfits;                    // in the order of the module's names
  LoadReport report;
};

// Compares names and shapes only; the module's tensors may be on the meta device.
FileFit file_fit(const torch::nn::Module& module, const Safetensors& file, const LoadOptions& options = {});

// Throws one line with the first tensor that is missing or has another shape, and the number of others.
void check_misfits(const FileFit& fit);

// Copies the file's tensors into the module, converting to each tensor's device and dtype. Copies nothing unless
// everything fits (check_misfits).
LoadReport load_parameters(torch::nn::Module& module, const Safetensors& file, const LoadOptions& options = {});

}  // namespace moga
