// An autograd function around all_gather. See gather_rows.h.
#include "moga/parallel/gather_rows.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <numeric>

namespace moga {
namespace {

class GatherRows : public torch::autograd::Function<GatherRows> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const ProcessGroup& group,
                            const std::vector<int64_t>& counts) {
    context->saved_data["first"] = std::accumulate(counts.begin(), counts.begin() + group.rank(), int64_t{0});
    context->saved_data["rows"] = x.size(0);
    return group.all_gather(x.contiguous(), counts);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    return {grads[0].narrow(0, context->saved_data["first"].toInt(), context->saved_data["rows"].toInt()), {}, {}};
  }
};

}  // namespace

at::Tensor gather_rows(const ProcessGroup& group, const at::Tensor& x, const std::vector<int64_t>& counts) {
  return group.size() == 1 ? x : GatherRows::apply(x, group, counts);
}

}  // namespace moga
