// Attention as operators, forward and backward over the passes of moga/attention/branch_passes.h:
//
//   moga::attend        one Grouping       → output [Nq, H, D], lse [Nq, H]
//   moga::attend_mean   several Groupings  → output, and of each branch output and lse in group order, for the backward
//   moga::attend_union  several Groupings  → output, lse, and of the gated branch output and lse in token order
//
// Results never share memory and are contiguous. The formulas that connect a forward with its backward, and the shapes
// of results without data, are registered by moga/operators.py. Other arguments: plain.h.
#include <ATen/ATen.h>
#include <torch/library.h>

#include "autocast.h"
#include "moga/attention/attend.h"
#include "moga/attention/branch_passes.h"
#include "moga/attention/rows.h"
#include "moga/core/check.h"
#include "plain.h"
#include "reference.h"

namespace moga::python {
namespace {

using at::Tensor;
using Ints = at::IntArrayRef;
using List = std::vector<Tensor>;
using Optional = std::optional<Tensor>;
using Gradients = std::tuple<Tensor, Tensor, Tensor, Tensor>;  // of q, k, v and the gate

struct Request {
  BranchInputs inputs;
  std::vector<Grouping> groupings;
  Combine combine;
  const Backend* backend;  // null: the reference

  BranchCall call() const { return {*backend, groupings, combine}; }
};

Request checked(const Tensor& q, const Tensor& k, const Tensor& v, const Optional& gate, at::TensorList rows,
                Ints sizes, Combine combine, std::string_view backend) {
  Request request{{{q, k, v}, gate.value_or(Tensor())}, groupings_of(rows, sizes), combine, nullptr};
  for (const Grouping& grouping : request.groupings) check_attend(q, k, v, grouping);
  check(!gate || gate->sizes() == Ints{q.size(0)}, "attend: the gate is ", gate ? gate->sizes() : Ints(),
        ", expected [", q.size(0), "]");
  request.backend = choose_backend(q, choice<AttentionBackend>("attention backend", std::string(backend)));
  return request;
}

// Contiguous, and no two of them the same memory.
void separate(std::initializer_list<Tensor*> results) {
  for (auto result = results.begin(); result != results.end(); ++result) {
    Tensor& x = **result;
    x = x.contiguous();
    for (auto other = results.begin(); other != result; ++other)
      if (x.numel() > 0 && x.is_alias_of(**other)) x = x.clone();
  }
}

Tensor nothing(const Tensor& like) { return at::empty({0}, like.options()); }

Gradients gradients_of(std::array<Tensor, 4> gradients, const Tensor& q) {
  auto& [dq, dk, dv, dgate] = gradients;
  if (!dgate.defined()) dgate = nothing(q);
  separate({&dq, &dk, &dv});
  return {dq, dk, dv, dgate};
}

// The output and lse of a branch in group order, where nothing was kept of it.
GroupedAttention zeros_of(const Grouping& grouping, const Tensor& q) {
  const auto wide = q.options().dtype(c10::promoteTypes(q.scalar_type(), at::kFloat));
  return {at::zeros({grouping.query.count, q.size(1), q.size(2)}, q.options()),
          at::zeros({grouping.query.count, q.size(1)}, wide),
          {}};
}

std::tuple<Tensor, List, List> mean_operator(const Tensor& q, const Tensor& k, const Tensor& v, const Optional& gate,
                                             at::TensorList rows, Ints sizes, std::string_view backend) {
  const Request request = checked(q, k, v, gate, rows, sizes, Combine::kMean, backend);
  AttentionRecord record;
  Tensor output;
  if (request.backend) {
    const BranchCall call = request.call();
    record = run_branches(call, request.inputs, /*keep_gated=*/true);
    output = results_of(call, record, request.inputs).output;
  } else {
    output = reference_forward(request.inputs, request.groupings, request.combine).output;
    for (const Grouping& grouping : request.groupings) record.branches.push_back(zeros_of(grouping, q));
  }
  List outputs, lses;
  for (GroupedAttention& branch : record.branches) {
    separate({&output, &branch.output});
    outputs.push_back(branch.output);
    lses.push_back(branch.lse.contiguous());
  }
  return {output, outputs, lses};
}

Gradients mean_backward_operator(const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v,
                                 const Optional& gate, at::TensorList outputs, at::TensorList lses, at::TensorList rows,
                                 Ints sizes, std::string_view backend) {
  const Request request = checked(q, k, v, gate, rows, sizes, Combine::kMean, backend);
  if (!request.backend)
    return gradients_of(reference_backward(request.inputs, request.groupings, request.combine, grad), q);
  AttentionRecord record;
  for (size_t b = 0; b < outputs.size(); ++b) record.branches.push_back({outputs[b], lses[b], {}});
  return gradients_of(branches_backward(request.call(), request.inputs, record, grad, gate.has_value()), q);
}

struct Union {
  Attended result;
  GroupedAttention gated;  // in token order; without a gate its tensors have no elements
};

Union union_forward(const Request& request) {
  const auto& [x, gate] = request.inputs;
  Union made;
  if (request.backend) {
    const BranchCall call = request.call();
    AttentionRecord record = run_branches(call, request.inputs, /*keep_gated=*/gate.defined());
    made.result = results_of(call, record, request.inputs);
    if (gate.defined()) made.gated = record.branches.back();
  } else {
    made.result = reference_forward(request.inputs, request.groupings, request.combine);
    if (gate.defined()) made.gated = {at::zeros_like(made.result.output), at::zeros_like(made.result.lse), {}};
  }
  if (!gate.defined()) made.gated = {nothing(x.q), nothing(made.result.lse), {}};
  separate({&made.result.output, &made.gated.output});
  separate({&made.result.lse, &made.gated.lse});
  return made;
}

std::array<Tensor, 4> union_backward(const Request& request, const Tensor& grad, const Union& kept) {
  const Tensor& gate = request.inputs.gate;
  if (!request.backend) return reference_backward(request.inputs, request.groupings, request.combine, grad);
  const BranchCall call = request.call();
  AttentionRecord record{std::vector<GroupedAttention>(call.groupings.size()), kept.result.output, kept.result.lse};
  if (call.single(gate)) record.branches[0].lse = gather_rows(kept.result.lse, call.queries[0]).contiguous();
  if (gate.defined()) record.branches.back() = kept.gated;
  return branches_backward(call, request.inputs, record, grad, gate.defined());
}

std::tuple<Tensor, Tensor, Tensor, Tensor> union_operator(const Tensor& q, const Tensor& k, const Tensor& v,
                                                          const Optional& gate, at::TensorList rows, Ints sizes,
                                                          std::string_view backend) {
  const Union made = union_forward(checked(q, k, v, gate, rows, sizes, Combine::kLse, backend));
  return {made.result.output, made.result.lse, made.gated.output, made.gated.lse};
}

Gradients union_backward_operator(const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v,
                                  const Optional& gate, const Tensor& output, const Tensor& lse,
                                  const Tensor& gated_output, const Tensor& gated_lse, at::TensorList rows, Ints sizes,
                                  std::string_view backend) {
  const Request request = checked(q, k, v, gate, rows, sizes, Combine::kLse, backend);
  return gradients_of(union_backward(request, grad, {{output, lse}, {gated_output, gated_lse, {}}}), q);
}

Request one_grouping(const Tensor& q, const Tensor& k, const Tensor& v, at::TensorList rows, Ints sizes,
                     std::string_view backend) {
  check(rows.size() == kRowTensors, "attend: ", rows.size() / kRowTensors, " groupings, expected one");
  return checked(q, k, v, std::nullopt, rows, sizes, Combine::kLse, backend);
}

std::tuple<Tensor, Tensor> attend_operator(const Tensor& q, const Tensor& k, const Tensor& v, at::TensorList rows,
                                           Ints sizes, std::string_view backend) {
  const Union made = union_forward(one_grouping(q, k, v, rows, sizes, backend));
  return {made.result.output, made.result.lse};
}

std::tuple<Tensor, Tensor, Tensor> attend_backward_operator(const Tensor& grad, const Tensor& q, const Tensor& k,
                                                            const Tensor& v, const Tensor& output, const Tensor& lse,
                                                            at::TensorList rows, Ints sizes, std::string_view backend) {
  const Request request = one_grouping(q, k, v, rows, sizes, backend);
  auto [dq, dk, dv, unused] = union_backward(request, grad, {{output, lse}, {}});
  separate({&dq, &dk, &dv});
  return {dq, dk, dv};
}

std::string default_backend_operator(const Tensor& q) { return name_of(default_backend(q)); }

// q, k and v in the autocast dtype, then the operator itself.
template <c10::DeviceType device, class Result, class... Rest>
Result autocast_call(const char* name, const Tensor& q, const Tensor& k, const Tensor& v, Rest... rest) {
  const Tensor low[] = {lowered(q, device), lowered(k, device), lowered(v, device)};
  const WithoutAutocast guard(device);
  using Signature = Result(const Tensor&, const Tensor&, const Tensor&, Rest...);
  return operator_named<Signature>(name).call(low[0], low[1], low[2], rest...);
}

template <c10::DeviceType device>
auto attend_autocast(const Tensor& q, const Tensor& k, const Tensor& v, at::TensorList rows, Ints sizes,
                     std::string_view backend) {
  return autocast_call<device, std::tuple<Tensor, Tensor>, at::TensorList, Ints, std::string_view>(
      "attend", q, k, v, rows, sizes, backend);
}

template <c10::DeviceType device>
auto mean_autocast(const Tensor& q, const Tensor& k, const Tensor& v, const Optional& gate, at::TensorList rows,
                   Ints sizes, std::string_view backend) {
  return autocast_call<device, std::tuple<Tensor, List, List>, const Optional&, at::TensorList, Ints, std::string_view>(
      "attend_mean", q, k, v, gate, rows, sizes, backend);
}

template <c10::DeviceType device>
auto union_autocast(const Tensor& q, const Tensor& k, const Tensor& v, const Optional& gate, at::TensorList rows,
                    Ints sizes, std::string_view backend) {
  return autocast_call<device, Gradients, const Optional&, at::TensorList, Ints, std::string_view>(
      "attend_union", q, k, v, gate, rows, sizes, backend);
}

void implement(torch::Library& library) {
  library.impl("attend", attend_operator);
  library.impl("attend_backward", attend_backward_operator);
  library.impl("attend_mean", mean_operator);
  library.impl("attend_mean_backward", mean_backward_operator);
  library.impl("attend_union", union_operator);
  library.impl("attend_union_backward", union_backward_operator);
}

template <c10::DeviceType device>
void implement_autocast(torch::Library& library) {
  library.impl("attend", attend_autocast<device>);
  library.impl("attend_mean", mean_autocast<device>);
  library.impl("attend_union", union_autocast<device>);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(moga, library) {
  library.def("default_backend(Tensor q) -> str", default_backend_operator);
  library.def(
      "attend(Tensor q, Tensor k, Tensor v, Tensor[] rows, int[] sizes, str backend) -> "
      "(Tensor output, Tensor lse)");
  library.def(
      "attend_backward(Tensor grad, Tensor q, Tensor k, Tensor v, Tensor output, Tensor lse, Tensor[] rows, "
      "int[] sizes, str backend) -> (Tensor q, Tensor k, Tensor v)");
  library.def(
      "attend_mean(Tensor q, Tensor k, Tensor v, Tensor? gate, Tensor[] rows, int[] sizes, str backend) -> "
      "(Tensor output, Tensor[] outputs, Tensor[] lses)");
  library.def(
      "attend_mean_backward(Tensor grad, Tensor q, Tensor k, Tensor v, Tensor? gate, Tensor[] outputs, Tensor[] lses, "
      "Tensor[] rows, int[] sizes, str backend) -> (Tensor q, Tensor k, Tensor v, Tensor gate)");
  library.def(
      "attend_union(Tensor q, Tensor k, Tensor v, Tensor? gate, Tensor[] rows, int[] sizes, str backend) -> "
      "(Tensor output, Tensor lse, Tensor gated_output, Tensor gated_lse)");
  library.def(
      "attend_union_backward(Tensor grad, Tensor q, Tensor k, Tensor v, Tensor? gate, Tensor output, Tensor lse, "
      "Tensor gated_output, Tensor gated_lse, Tensor[] rows, int[] sizes, str backend) -> "
      "(Tensor q, Tensor k, Tensor v, Tensor gate)");
}

TORCH_LIBRARY_IMPL(moga, CPU, library) { implement(library); }
TORCH_LIBRARY_IMPL(moga, CUDA, library) { implement(library); }
TORCH_LIBRARY_IMPL(moga, AutocastCPU, library) { implement_autocast<c10::kCPU>(library); }
TORCH_LIBRARY_IMPL(moga, AutocastCUDA, library) { implement_autocast<c10::kCUDA>(library); }

}  // namespace moga::python
