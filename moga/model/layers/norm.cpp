// See norm.h. Every pass reads and writes x's dtype and computes in float32 inside: on a GPU one norm moves 8 bytes per
// bfloat16 element, where casting to float32 first, as the public implementations do, moves 28.
#include "moga/model/layers/norm.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/init.h>

#include "moga/core/check.h"
#include "moga/model/layers/linear.h"
#include "moga/model/layers/norm_cuda.h"

namespace moga {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The rows of a segment [vectors, rows, C], and its vectors [vectors, 1, C].
at::Tensor rows_of(const at::Tensor& x, const Segment& segment) {
  return x.narrow(0, segment.first_row, segment.vectors * segment.rows)
      .view({segment.vectors, segment.rows, x.size(1)});
}

at::Tensor vectors_of(const at::Tensor& vectors, const Segment& segment) {
  return vectors.narrow(0, segment.first_vector, segment.vectors).unsqueeze(1);
}

// [V, C] in float32: the sum of the rows of each of `count` vectors, zero for a vector without rows.
at::Tensor sum_per_vector(const at::Tensor& rows, const Segments& segments, int64_t count) {
  const at::ScalarType dtype = wide(rows.scalar_type());
  std::vector<at::Tensor> sums;
  int64_t end = 0;
  const auto zeros_up_to = [&](int64_t vector) {
    if (vector > end) sums.push_back(at::zeros({vector - end, rows.size(1)}, rows.options().dtype(dtype)));
  };
  for (const Segment& segment : segments) {
    zeros_up_to(segment.first_vector);
    sums.push_back(rows_of(rows, segment).sum(1, false, dtype));
    end = segment.end_vector();
  }
  zeros_up_to(count);
  return sums.size() == 1 ? sums[0] : at::cat(sums);
}

// Segments as an IValue, for the backward pass.
struct SegmentHolder : torch::CustomClassHolder {
  explicit SegmentHolder(Segments value) : segments(std::move(value)) {}
  Segments segments;
};

void save_segments(AutogradContext* context, const Segments& segments) {
  context->saved_data["segments"] = c10::IValue::make_capsule(c10::make_intrusive<SegmentHolder>(segments));
}

Segments saved_segments(AutogradContext* context) {
  return c10::static_intrusive_pointer_cast<SegmentHolder>(context->saved_data["segments"].toCapsule())->segments;
}

struct ScaledNorm : torch::autograd::Function<ScaledNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, const Segments& segments, double eps) {
    save_segments(context, segments);
    context->saved_data["eps"] = eps;
    if (row_kernels_serve(x)) {
      const Normalised fused = adaptive_norm_cuda({.x = x}, weight, bias, segments, eps);
      context->save_for_backward({x, weight, fused.mean, fused.rstd});
      return fused.y;
    }
    auto [normal, mean, rstd] = at::native_layer_norm(x, {x.size(1)}, {}, {}, eps);
    at::Tensor y = at::empty_like(x);
    for (const Segment& segment : segments) {
      at::Tensor out = rows_of(y, segment);
      at::addcmul_out(out, vectors_of(bias, segment), rows_of(normal, segment), vectors_of(weight, segment));
    }
    context->save_for_backward({x, weight, mean, rstd});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &rstd = saved[3];
    const Segments segments = saved_segments(context);
    const at::Tensor dy = gradients[0].contiguous();
    const bool vectors = context->needs_input_grad(1) || context->needs_input_grad(2);
    if (row_kernels_serve(x)) {
      const auto fused = adaptive_norm_backward_cuda(dy, {}, {}, weight, {x, {}, mean, rstd}, segments, vectors);
      return {fused.x, fused.weight, fused.bias, {}, {}};
    }
    at::Tensor dnormal = at::empty_like(x);
    for (const Segment& segment : segments) {
      at::Tensor out = rows_of(dnormal, segment);
      at::mul_out(out, rows_of(dy, segment), vectors_of(weight, segment));
    }
    const at::Tensor dx =
        std::get<0>(at::native_layer_norm_backward(dnormal, x, {x.size(1)}, mean, rstd, {}, {}, {true, false, false}));
    at::Tensor dweight, dbias;
    if (context->needs_input_grad(1)) {
      const double eps = context->saved_data["eps"].toDouble();
      const at::Tensor normal = std::get<0>(at::native_layer_norm(x, {x.size(1)}, {}, {}, eps));
      dweight = sum_per_vector(normal * dy, segments, weight.size(0));
    }
    if (context->needs_input_grad(2)) dbias = sum_per_vector(dy, segments, weight.size(0));
    return {dx, dweight, dbias, {}, {}};
  }
};

struct GatedResidual : torch::autograd::Function<GatedResidual> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& branch,
                            const at::Tensor& gate, const Segments& segments) {
    context->save_for_backward({branch, gate});
    save_segments(context, segments);
    if (row_kernels_serve(x)) return gated_residual_cuda(x, branch, gate, segments);
    at::Tensor y = at::empty_like(x);
    for (const Segment& segment : segments) {
      at::Tensor out = rows_of(y, segment);
      at::addcmul_out(out, rows_of(x, segment), rows_of(branch, segment), vectors_of(gate, segment));
    }
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &branch = saved[0], &gate = saved[1];
    const Segments segments = saved_segments(context);
    const at::Tensor dy = gradients[0].contiguous();
    if (row_kernels_serve(branch)) {
      const auto fused = gated_residual_backward_cuda(dy, branch, gate, segments, context->needs_input_grad(2));
      return {dy, fused[0], fused[1], {}};
    }
    at::Tensor dbranch = at::empty_like(branch), dgate;
    for (const Segment& segment : segments) {
      at::Tensor out = rows_of(dbranch, segment);
      at::mul_out(out, rows_of(dy, segment), vectors_of(gate, segment));
    }
    if (context->needs_input_grad(2)) dgate = sum_per_vector(dy * branch, segments, gate.size(0));
    return {dy, dbranch, dgate, {}};
  }
};

// residual_norm on CUDA in bfloat16.
struct ResidualNorm : torch::autograd::Function<ResidualNorm> {
  static variable_list forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                               const at::Tensor& bias, const std::optional<at::Tensor>& branch,
                               const std::optional<at::Tensor>& gate, const Segments& segments, double eps) {
    const Residual residual = {x, branch.value_or(at::Tensor()), gate.value_or(at::Tensor())};
    const Normalised fused = adaptive_norm_cuda(residual, weight, bias, segments, eps);
    const at::Tensor kept_branch = residual.gate.defined() ? residual.branch : at::Tensor();
    context->save_for_backward({fused.x, weight, fused.mean, fused.rstd, kept_branch, residual.gate});
    context->saved_data["branch"] = residual.branch.defined();
    save_segments(context, segments);
    context->set_materialize_grads(false);
    return {fused.x, fused.y};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &branch = saved[4], &gate = saved[5];
    const at::Tensor others = gradients[0].defined() ? gradients[0].contiguous() : at::Tensor();
    const at::Tensor dy = gradients[1].defined() ? gradients[1].contiguous() : at::zeros_like(x);
    const auto fused =
        adaptive_norm_backward_cuda(dy, others, {.x = {}, .branch = branch, .gate = gate}, weight,
                                    {x, {}, saved[2], saved[3]}, saved_segments(context), /*vectors=*/true);
    variable_list result = {fused.x, fused.weight, fused.bias};
    const bool with_branch = context->saved_data["branch"].toBool();
    result.push_back(gate.defined() ? fused.branch : with_branch ? fused.x : at::Tensor());
    result.insert(result.end(), {fused.gate, {}, {}});
    return result;
  }
};

std::optional<at::Tensor> optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

void check_rows(const char* name, const at::Tensor& x, const at::Tensor& vectors, const Segments& segments) {
  check(x.dim() == 2 && vectors.dim() == 2 && x.size(1) == vectors.size(1), name, ": rows ", x.sizes(), " and vectors ",
        vectors.sizes(), ", expected [N, C] and [V, C]");
  check_segments(name, segments, x.size(0), vectors.size(0));
}

}  // namespace

at::Tensor scaled_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Segments& segments,
                       double eps) {
  check_rows("scaled_norm", x, weight, segments);
  check(bias.sizes() == weight.sizes(), "scaled_norm: bias ", bias.sizes(), ", expected ", weight.sizes());
  return ScaledNorm::apply(x.contiguous(), weight, bias, segments, eps);
}

at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& gate,
                          const Segments& segments) {
  check_rows("gated_residual", x, gate, segments);
  check(branch.sizes() == x.sizes(), "gated_residual: branch ", branch.sizes(), ", expected ", x.sizes());
  return GatedResidual::apply(x.contiguous(), branch.contiguous(), gate, segments);
}

Normed residual_norm(const Residual& residual, const at::Tensor& weight, const at::Tensor& bias,
                     const Segments& segments, double eps) {
  const auto& [x, branch, gate] = residual;
  check_rows("residual_norm", x, weight, segments);
  if (branch.defined())
    check(branch.sizes() == x.sizes(), "residual_norm: branch ", branch.sizes(), ", expected ", x.sizes());
  else if (gate.defined())
    fail("residual_norm: a gate of ", gate.sizes(), " and no branch, expected both");
  if (gate.defined()) check_rows("residual_norm", branch, gate, segments);
  if (row_kernels_serve(x)) {
    const auto rows = branch.defined() ? optional(branch.contiguous()) : std::nullopt;
    const auto results = ResidualNorm::apply(x, weight, bias, rows, optional(gate), segments, eps);
    return {results[0], results[1]};
  }
  at::Tensor sum = x;
  if (branch.defined()) sum = gate.defined() ? gated_residual(x, branch, gate, segments) : x + branch;
  return {sum, scaled_norm(sum, weight, bias, segments, eps)};
}

AffineNormImpl::AffineNormImpl(int64_t width, double eps)
    : weight(register_parameter("weight", at::empty({width}))),
      bias(register_parameter("bias", at::empty({width}))),
      eps_(eps) {}

Normed AffineNormImpl::forward(const Residual& residual, const Segments& segments) {
  // One copy per vector, so that the gradient is summed per segment as any modulation's is.
  const int64_t vectors = segments.empty() ? 0 : segments.back().end_vector();
  const auto for_each_vector = [&](const at::Tensor& vector) {
    return vector.to(wide(residual.x.scalar_type())).expand({vectors, vector.size(0)});
  };
  return residual_norm(residual, for_each_vector(weight), for_each_vector(bias), segments, eps_);
}

void AffineNormImpl::initialise() {
  torch::nn::init::ones_(weight);
  torch::nn::init::zeros_(bias);
}

}  // namespace moga
