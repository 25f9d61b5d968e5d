// See graph_root.h.
#include "moga/core/graph_root.h"

#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/variable.h>

namespace moga {

GraphRoot graph_root(const at::Tensor& result) { return torch::autograd::impl::gradient_edge(result); }

std::vector<at::Tensor> gradients(const std::vector<GraphRoot>& roots, const std::vector<at::Tensor>& grads,
                                  const std::vector<at::Tensor>& targets, bool keep_graph) {
  torch::autograd::edge_list to;
  for (const at::Tensor& target : targets) to.push_back(torch::autograd::impl::gradient_edge(target));
  return torch::autograd::Engine::get_default_engine().execute(roots, grads, keep_graph, /*create_graph=*/false,
                                                               /*accumulate_grad=*/false, to);
}

}  // namespace moga
