// Gradients against central differences in float64: for every input element e,
//   d⟨w, f⟩/de ≈ (⟨w, f(e + step)⟩ − ⟨w, f(e − step)⟩) / (2 · step),   w fixed and irregular.
#pragma once

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <functional>
#include <vector>

#include "tests/support/compare.h"

namespace moga::test {

using Tensors = std::vector<at::Tensor>;

// `inputs` are float64; f may return any shape. The caller chooses inputs whose routing does not change within ± step.
inline testing::AssertionResult gradcheck(const std::function<at::Tensor(const Tensors&)>& f, const Tensors& inputs,
                                          double step = 1e-6, double tolerance = 1e-6) {
  const auto projected = [&](const Tensors& at) {
    const at::Tensor y = f(at);
    return (y * at::arange(1, y.numel() + 1, y.options()).sin().view(y.sizes())).sum();
  };
  Tensors leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.detach().clone().requires_grad_());
  const auto gradients = torch::autograd::grad({projected(leaves)}, leaves);

  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < inputs.size(); ++i) {
    at::Tensor measured = at::empty_like(inputs[i], at::MemoryFormat::Contiguous);
    for (int64_t e = 0; e < inputs[i].numel(); ++e) {
      const auto moved = [&](double by) {
        Tensors at = inputs;
        at[i] = inputs[i].clone(at::MemoryFormat::Contiguous);
        at[i].data_ptr<double>()[e] += by;
        return projected(at).item<double>();
      };
      measured.data_ptr<double>()[e] = (moved(step) - moved(-step)) / (2 * step);
    }
    if (auto result = close(gradients[i], measured, tolerance); !result) return result << " (input " << i << ")";
  }
  return testing::AssertionSuccess();
}

}  // namespace moga::test
