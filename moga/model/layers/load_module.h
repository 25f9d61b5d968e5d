// Builds a module from a config and loads its weights from a file. Names and shapes are compared on the meta device
// first, so that a file that does not fit is refused before a weight is read or allocated. Transformers and text
// encoders, whose weights may be in 8 bits, are loaded by load_weights.h and text_encoder.h.
#pragma once

#include <torch/types.h>

#include "moga/core/module_io.h"
#include "moga/core/shapes_only.h"
#include "moga/model/layers/file_fit.h"

namespace moga {

template <class Module, class Config>
FileFit module_file_fit(const Config& config, const Safetensors& file, const LoadOptions& options) {
  return file_fit(*shapes_of<Module>(config), file, options);
}

// The module is in evaluation mode. Throws what check_file_fit throws.
template <class Module, class Config>
Module load_module(const Config& config, const Safetensors& file, const LoadOptions& options, at::Device device,
                   at::ScalarType dtype = at::kFloat) {
  check_file_fit(module_file_fit<Module>(config, file, options));
  Module module(config);
  module->to(device, dtype);
  load_parameters(*module, file, options);
  module->eval();
  return module;
}

}  // namespace moga
