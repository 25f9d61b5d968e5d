// Loads by name, in two passes: compare all names and shapes, then copy.
#include "moga/core/module_io.h"

#include <ATen/Functions.h>
#include <c10/util/ArrayRef.h>

#include <algorithm>
#include <set>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"

namespace moga {
namespace {

bool contains_any(const std::string& name, const std::vector<std::string>& parts) {
  return std::ranges::any_of(parts, [&](const std::string& part) { return name.find(part) != std::string::npos; });
}

std::string name_in_file(const std::string& name, const LoadOptions& options) {
  return options.file_name_of ? options.file_name_of(name) : name;
}

// The problem with the file's tensor; empty if it fits.
std::string problem_of(const at::Tensor& tensor, const Safetensors& file, const std::string& name) {
  std::ostringstream text;
  if (!file.contains(name))
    text << "is missing, expected shape " << tensor.sizes();
  else if (const std::vector<int64_t> shape = file.shape(name); tensor.sizes() != at::IntArrayRef(shape))
    text << "has shape " << at::IntArrayRef(shape) << ", expected " << tensor.sizes();
  else if (const c10::ScalarType dtype = file.dtype(name);
           c10::isFloatingType(tensor.scalar_type()) && !c10::isFloatingType(dtype))
    text << "holds " << dtype << ", expected float32, bfloat16 or float16";
  return text.str();
}

}  // namespace

TensorMap named_tensors(const torch::nn::Module& module) {
  TensorMap tensors;
  for (const auto& item : module.named_parameters()) tensors[item.key()] = item.value();
  for (const auto& item : module.named_buffers()) tensors[item.key()] = item.value();
  return tensors;
}

FileFit file_fit(const torch::nn::Module& module, const Safetensors& file, const LoadOptions& options) {
  FileFit fit{.source = file.source(), .file_names = {}, .misfits = {}, .report = {}};
  std::set<std::string> used;
  for (const auto& [name, tensor] : named_tensors(module)) {
    const std::string file_name = name_in_file(name, options);
    if (!file.contains(file_name) && contains_any(name, options.optional)) {
      fit.report.kept.push_back(file_name);
      continue;
    }
    fit.file_names[name] = file_name;
    used.insert(file_name);
    const std::string problem = problem_of(tensor, file, file_name);
    if (!problem.empty()) fit.misfits.push_back({file_name, problem, !file.contains(file_name)});
  }
  for (const std::string& name : file.names())
    if (!used.contains(name))
      (contains_any(name, options.harmless) ? fit.report.harmless : fit.report.unused).push_back(name);
  return fit;
}

void check_misfits(const FileFit& fit) {
  const size_t misfits = fit.misfits.size();
  if (misfits == 0) return;
  fail(fit.source, ": tensor ", fit.misfits[0].name, " ", fit.misfits[0].problem,
       misfits > 1 ? "; " + std::to_string(misfits - 1) + " more do not fit" : "");
}

LoadReport load_parameters(torch::nn::Module& module, const Safetensors& file, const LoadOptions& options) {
  const FileFit fit = file_fit(module, file, options);
  check_misfits(fit);
  const TensorMap tensors = named_tensors(module);
  const at::NoGradGuard no_grad;
  for (const auto& [name, file_name] : fit.file_names) {
    stop_inside_if_interrupted();
    const at::Tensor& tensor = tensors.at(name);
    tensor.copy_(file.load(file_name, tensor.device()));
  }
  return fit.report;
}

}  // namespace moga
