// A result's place in the autograd graph. It keeps the graph alive but not the result's memory, which is often large
// and not needed for the backward pass.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/edge.h>

#include <vector>

namespace moga {

using GraphRoot = torch::autograd::Edge;

// `result` must require a gradient.
GraphRoot graph_root(const at::Tensor& result);

// As torch::autograd::grad: the gradients that reach `targets`, which require one, from `grads` of the roots; undefined
// where none does.
std::vector<at::Tensor> gradients(const std::vector<GraphRoot>& roots, const std::vector<at::Tensor>& grads,
                                  const std::vector<at::Tensor>& targets, bool keep_graph);

}  // namespace moga
