// attend: checks once, names the backend, and gives its forward and backward to autograd.
//
//   gather rows into group order → backend → scatter rows back;  backward gathers again instead of keeping copies
//
// Kept for the backward: q, k, v and the output as the caller has them, and what the backend asks for.
#include "moga/attention/attend.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <cmath>
#include <limits>

#include "moga/attention/backends.h"
#include "moga/attention/rows.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/log.h"

namespace moga {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Call : torch::CustomClassHolder {
  Call(const Backend& backend, const Grouping& grouping) : backend(backend), grouping(grouping) {}
  const Backend& backend;
  const Grouping grouping;
};

class AttendFunction : public torch::autograd::Function<AttendFunction> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& q,
                                                const at::Tensor& k, const at::Tensor& v, const Backend& backend,
                                                const Grouping& grouping) {
    const GroupedAttention grouped = backend.forward(gather_rows(q, grouping.query), gather_rows(k, grouping.key),
                                                     gather_rows(v, grouping.key), grouping);
    const at::Tensor output = scatter_rows(grouped.output, grouping.query, q.size(0));
    const at::Tensor lse = scatter_rows(grouped.lse, grouping.query, q.size(0), -kInfinity);
    torch::autograd::variable_list kept{q, k, v, output, grouped.lse};
    kept.insert(kept.end(), grouped.saved.begin(), grouped.saved.end());
    context->save_for_backward(kept);
    context->saved_data["call"] = c10::IValue::make_capsule(c10::make_intrusive<Call>(backend, grouping));
    context->mark_non_differentiable({lse});
    context->set_materialize_grads(false);
    return {output, lse};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    if (!grads[0].defined()) return torch::autograd::variable_list(5);
    const auto kept = context->get_saved_variables();
    const auto call = c10::static_intrusive_pointer_cast<Call>(context->saved_data["call"].toCapsule());
    const Rows &query = call->grouping.query, &key = call->grouping.key;
    const at::Tensor &q = kept[0], &k = kept[1], &v = kept[2], &output = kept[3], &lse = kept[4];
    const auto gradients = call->backend.backward(gather_rows(grads[0], query).contiguous(), gather_rows(q, query),
                                                  gather_rows(k, key), gather_rows(v, key), gather_rows(output, query),
                                                  lse, {kept.begin() + 5, kept.end()}, call->grouping);
    return {accumulate_rows(gradients[0], query, q.size(0)),
            accumulate_rows(gradients[1], key, k.size(0)),
            accumulate_rows(gradients[2], key, v.size(0)),
            {},
            {}};
  }
};

void check_rows(const Rows& rows, int64_t available, const at::Tensor& q, const char* what) {
  check(rows.offsets.defined() && rows.offsets.scalar_type() == at::kInt && rows.offsets.device() == q.device(),
        "attend: ", what, " offsets must be int32 on ", q.device());
  check(!rows.index.defined() || (rows.index.scalar_type() == at::kLong && rows.index.device() == q.device()),
        "attend: ", what, " index must be int64 on ", q.device());
  check(rows.repeated || rows.count <= available, "attend: groups have ", rows.count, " ", what,
        " rows, there are only ", available);
}

const Backend* find_backend(const at::Tensor& q, const std::string& name) {
  if (name == "reference") return nullptr;
  for (const Backend* backend : {&kCpuBackend, &kSm90Backend, &kFlashBackend}) {
    if (name != backend->name) continue;
    check(backend->can_serve(q), "attention backend ", name, " serves ", backend->serves, "; q is ",
          dtype_name(q.scalar_type()), " on ", q.device(), " with head size ", q.size(-1));
    return backend;
  }
  fail("attention backend '", name, "' is not one of auto, reference, cpu, sm90, flash");
}

}  // namespace

void check_attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping) {
  check(q.dim() == 3 && k.dim() == 3 && k.sizes() == v.sizes() && q.sizes().slice(1) == k.sizes().slice(1),
        "attend: q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes(), "; expected [Nq, H, D] and twice [Nk, H, D]");
  check(q.scalar_type() == k.scalar_type() && q.scalar_type() == v.scalar_type(), "attend: q is ",
        dtype_name(q.scalar_type()), ", k ", dtype_name(k.scalar_type()), ", v ", dtype_name(v.scalar_type()));
  check(q.device() == k.device() && q.device() == v.device(), "attend: q is on ", q.device(), ", k on ", k.device(),
        ", v on ", v.device());
  check_rows(grouping.query, q.size(0), q, "query");
  check_rows(grouping.key, k.size(0), q, "key");
  check(!grouping.query.repeated, "attend: a query row is in several groups; it may be in one");
  check(grouping.query.offsets.sizes() == grouping.key.offsets.sizes(), "attend: ", grouping.query.offsets.size(0) - 1,
        " groups of queries, ", grouping.key.offsets.size(0) - 1, " groups of keys");
}

void check_attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const std::vector<Grouping>& groupings,
                  const at::Tensor& gate) {
  for (const Grouping& grouping : groupings) check_attend(q, k, v, grouping);
  check(!gate.defined() || gate.sizes() == at::IntArrayRef{q.size(0)}, "attend: the gate is ", gate.sizes(),
        ", expected [", q.size(0), "]");
}

double attention_scale(const at::Tensor& q) { return 1.0 / std::sqrt(static_cast<double>(q.size(-1))); }

std::string default_backend(const at::Tensor& q) {
  for (const Backend* backend : {&kCpuBackend, &kSm90Backend, &kFlashBackend})
    if (backend->can_serve(q)) return backend->name;
  return "reference";
}

const Backend* choose_backend(const at::Tensor& q, const std::string& name) {
  const std::string chosen_name = name == "auto" ? default_backend(q) : name;
  const Backend* chosen = find_backend(q, chosen_name);
  const std::string dtype = dtype_name(q.scalar_type());
  log_once("attention " + chosen_name + dtype, "attention: " + chosen_name + " (" +
                                                   (chosen ? chosen->serves : "plain operations") + "), " + dtype +
                                                   ", head size " + std::to_string(q.size(-1)));
  return chosen;
}

Attended attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping,
                const std::string& backend) {
  check_attend(q, k, v, grouping);
  const Backend* chosen = choose_backend(q, backend);
  if (!chosen) {
    const Attended plain = attend_reference(q, k, v, grouping);
    return {plain.output, plain.lse.detach()};
  }
  const auto results = AttendFunction::apply(q, k, v, *chosen, grouping);
  return {results[0], results[1]};
}

}  // namespace moga
