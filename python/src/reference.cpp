// See reference.h.
#include "reference.h"

#include <ATen/ATen.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/autograd.h>

namespace moga::python {
namespace {

c10::impl::LocalDispatchKeySet with_autograd() {
  const c10::impl::LocalDispatchKeySet now = c10::impl::tls_local_dispatch_key_set();
  c10::impl::PODLocalDispatchKeySet set{};
  set.set_included(now.included_);
  set.set_excluded(now.excluded_ - c10::autograd_dispatch_keyset_with_ADInplaceOrView);
  return c10::impl::LocalDispatchKeySet(set);
}

at::Tensor leaf(const at::Tensor& x) { return x.defined() ? x.detach().requires_grad_() : x; }

}  // namespace

Attended reference_forward(const BranchInputs& inputs, const std::vector<Grouping>& groupings, Combine combine) {
  const Branches branches{.groupings = groupings, .combine = combine, .gate = inputs.gate};
  return attend_branches(inputs.x.q, inputs.x.k, inputs.x.v, branches, AttentionBackend::kReference);
}

std::array<at::Tensor, 4> reference_backward(const BranchInputs& inputs, const std::vector<Grouping>& groupings,
                                             Combine combine, const at::Tensor& grad) {
  const c10::impl::ForceDispatchKeyGuard keys(with_autograd());
  const at::AutoGradMode recording(true);
  const BranchInputs leaves = {{leaf(inputs.x.q), leaf(inputs.x.k), leaf(inputs.x.v)}, leaf(inputs.gate)};
  torch::autograd::variable_list wanted = {leaves.x.q, leaves.x.k, leaves.x.v};
  if (leaves.gate.defined()) wanted.push_back(leaves.gate);
  const at::Tensor output = reference_forward(leaves, groupings, combine).output;
  torch::autograd::variable_list found = torch::autograd::grad({output}, wanted, {grad});
  found.resize(4);
  return {found[0], found[1], found[2], found[3]};
}

}  // namespace moga::python
