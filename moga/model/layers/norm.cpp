// See norm.h. Every pass reads and writes x's dtype and computes in float32 inside: on a GPU one norm moves 8 bytes a
// bfloat16 element, where casting to float32 first, as the public implementations do, moves 28.
#include "moga/model/layers/norm.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/init.h>

#include "moga/core/check.h"
#include "moga/model/layers/linear.h"
#include "moga/model/layers/norm_cuda.h"
#include "moga/model/layers/rope.h"

namespace moga {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Rows of a span [videos, tokens, C], and its videos' vectors [videos, 1, C].
at::Tensor rows_of(const at::Tensor& x, const EqualVideos& span) {
  return x.narrow(0, span.begin, span.videos * span.tokens).view({span.videos, span.tokens, x.size(1)});
}

at::Tensor vectors_of(const at::Tensor& vectors, const EqualVideos& span) {
  return vectors.narrow(0, span.first, span.videos).unsqueeze(1);
}

// [B, C]: the sum of the rows of each video, in float32.
at::Tensor sum_of_videos(const at::Tensor& rows, const Spans& spans) {
  std::vector<at::Tensor> sums;
  for (const EqualVideos& span : spans) sums.push_back(rows_of(rows, span).sum(1, false, wide(rows.scalar_type())));
  return sums.size() == 1 ? sums[0] : at::cat(sums);
}

// Spans as an IValue, for the backward.
struct SpanHolder : torch::CustomClassHolder {
  explicit SpanHolder(Spans value) : spans(std::move(value)) {}
  Spans spans;
};

void save_spans(AutogradContext* context, const Spans& spans) {
  context->saved_data["spans"] = c10::IValue::make_capsule(c10::make_intrusive<SpanHolder>(spans));
}

Spans saved_spans(AutogradContext* context) {
  return c10::static_intrusive_pointer_cast<SpanHolder>(context->saved_data["spans"].toCapsule())->spans;
}

struct ScaledNorm : torch::autograd::Function<ScaledNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, const Spans& spans, double eps) {
    save_spans(context, spans);
    context->saved_data["eps"] = eps;
    if (row_kernels_serve(x)) {
      const Normalised fused = adaptive_norm_cuda({.x = x}, weight, bias, spans, eps);
      context->save_for_backward({x, weight, fused.mean, fused.rstd});
      return fused.y;
    }
    auto [normal, mean, rstd] = at::native_layer_norm(x, {x.size(1)}, {}, {}, eps);
    at::Tensor y = at::empty_like(x);
    for (const EqualVideos& span : spans) {
      at::Tensor out = rows_of(y, span);
      at::addcmul_out(out, vectors_of(bias, span), rows_of(normal, span), vectors_of(weight, span));
    }
    context->save_for_backward({x, weight, mean, rstd});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &rstd = saved[3];
    const Spans spans = saved_spans(context);
    const at::Tensor dy = gradients[0].contiguous();
    const bool vectors = context->needs_input_grad(1) || context->needs_input_grad(2);
    if (row_kernels_serve(x)) {
      const auto fused = adaptive_norm_backward_cuda(dy, {}, {}, weight, {x, {}, mean, rstd}, spans, vectors);
      return {fused.x, fused.weight, fused.bias, {}, {}};
    }
    at::Tensor dnormal = at::empty_like(x);
    for (const EqualVideos& span : spans) {
      at::Tensor out = rows_of(dnormal, span);
      at::mul_out(out, rows_of(dy, span), vectors_of(weight, span));
    }
    const at::Tensor dx =
        std::get<0>(at::native_layer_norm_backward(dnormal, x, {x.size(1)}, mean, rstd, {}, {}, {true, false, false}));
    at::Tensor dweight, dbias;
    if (context->needs_input_grad(1)) {
      const double eps = context->saved_data["eps"].toDouble();
      dweight = sum_of_videos(std::get<0>(at::native_layer_norm(x, {x.size(1)}, {}, {}, eps)) * dy, spans);
    }
    if (context->needs_input_grad(2)) dbias = sum_of_videos(dy, spans);
    return {dx, dweight, dbias, {}, {}};
  }
};

struct GatedResidual : torch::autograd::Function<GatedResidual> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& branch,
                            const at::Tensor& gate, const Spans& spans) {
    context->save_for_backward({branch, gate});
    save_spans(context, spans);
    if (row_kernels_serve(x)) return gated_residual_cuda(x, branch, gate, spans);
    at::Tensor y = at::empty_like(x);
    for (const EqualVideos& span : spans) {
      at::Tensor out = rows_of(y, span);
      at::addcmul_out(out, rows_of(x, span), rows_of(branch, span), vectors_of(gate, span));
    }
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &branch = saved[0], &gate = saved[1];
    const Spans spans = saved_spans(context);
    const at::Tensor dy = gradients[0].contiguous();
    if (row_kernels_serve(branch)) {
      const auto fused = gated_residual_backward_cuda(dy, branch, gate, spans, context->needs_input_grad(2));
      return {dy, fused[0], fused[1], {}};
    }
    at::Tensor dbranch = at::empty_like(branch);
    for (const EqualVideos& span : spans) {
      at::Tensor out = rows_of(dbranch, span);
      at::mul_out(out, rows_of(dy, span), vectors_of(gate, span));
    }
    const at::Tensor dgate = context->needs_input_grad(2) ? sum_of_videos(dy * branch, spans) : at::Tensor();
    return {dy, dbranch, dgate, {}};
  }
};

// residual_norm on CUDA in bfloat16.
struct ResidualNorm : torch::autograd::Function<ResidualNorm> {
  static variable_list forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                               const at::Tensor& bias, const std::optional<at::Tensor>& branch,
                               const std::optional<at::Tensor>& gate, const Spans& spans, double eps) {
    const Residual residual = {x, branch.value_or(at::Tensor()), gate.value_or(at::Tensor())};
    const Normalised fused = adaptive_norm_cuda(residual, weight, bias, spans, eps);
    const at::Tensor kept_branch = residual.gate.defined() ? residual.branch : at::Tensor();
    context->save_for_backward({fused.x, weight, fused.mean, fused.rstd, kept_branch, residual.gate});
    context->saved_data["branch"] = residual.branch.defined();
    save_spans(context, spans);
    context->set_materialize_grads(false);
    return {fused.x, fused.y};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &branch = saved[4], &gate = saved[5];
    const at::Tensor others = gradients[0].defined() ? gradients[0].contiguous() : at::Tensor();
    const at::Tensor dy = gradients[1].defined() ? gradients[1].contiguous() : at::zeros_like(x);
    const auto fused = adaptive_norm_backward_cuda(dy, others, {.x = {}, .branch = branch, .gate = gate}, weight,
                                                   {x, {}, saved[2], saved[3]}, saved_spans(context), /*vectors=*/true);
    variable_list result = {fused.x, fused.weight, fused.bias};
    const bool with_branch = context->saved_data["branch"].toBool();
    result.push_back(gate.defined() ? fused.branch : with_branch ? fused.x : at::Tensor());
    result.insert(result.end(), {fused.gate, {}, {}});
    return result;
  }
};

// RMSNorm and turn in one pass each way; keeps x, where separate operations would keep x and the normalised x.
struct FusedQkNorm : torch::autograd::Function<FusedQkNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& rotary, double eps) {
    const at::Tensor table = rotary.value_or(at::Tensor());
    context->save_for_backward({x, weight, table});
    context->saved_data["eps"] = eps;
    return qk_norm_cuda(x, weight, table, eps);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto [dx, dweight] = qk_norm_backward_cuda(gradients[0].contiguous(), saved[0], saved[1], saved[2],
                                                     context->saved_data["eps"].toDouble());
    return {dx, dweight.to(saved[1].scalar_type()), {}, {}};
  }
};

void check_rows(const char* name, const at::Tensor& x, const at::Tensor& vectors, const Spans& spans) {
  check(!spans.empty() && x.dim() == 2 && vectors.dim() == 2, name, ": needs rows [N, C] and vectors [B, C], got ",
        x.sizes(), " and ", vectors.sizes());
  const EqualVideos& last = spans.back();
  check(x.size(0) == last.begin + last.videos * last.tokens, name, ": ", x.size(0), " rows, the videos have ",
        last.begin + last.videos * last.tokens);
  check(vectors.size(0) == last.first + last.videos && vectors.size(1) == x.size(1), name, ": vectors ",
        vectors.sizes(), ", expected [", last.first + last.videos, ", ", x.size(1), "]");
}

}  // namespace

at::Tensor scaled_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Spans& spans,
                       double eps) {
  check_rows("scaled_norm", x, weight, spans);
  return ScaledNorm::apply(x.contiguous(), weight, bias, spans, eps);
}

at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& gate, const Spans& spans) {
  check_rows("gated_residual", x, gate, spans);
  return GatedResidual::apply(x.contiguous(), branch.contiguous(), gate, spans);
}

Normed residual_norm(const Residual& residual, const at::Tensor& weight, const at::Tensor& bias, const Spans& spans,
                     double eps) {
  const auto& [x, branch, gate] = residual;
  check_rows("residual_norm", x, weight, spans);
  check(branch.defined() ? branch.sizes() == x.sizes() : !gate.defined(), "residual_norm: x ", x.sizes(), ", branch ",
        branch.defined() ? branch.sizes() : at::IntArrayRef());
  if (gate.defined()) check_rows("residual_norm", branch, gate, spans);
  if (row_kernels_serve(x)) {
    const auto optional = [](const at::Tensor& tensor) {
      return tensor.defined() ? std::optional(tensor) : std::nullopt;
    };
    const auto results = ResidualNorm::apply(
        x, weight, bias, branch.defined() ? optional(branch.contiguous()) : std::nullopt, optional(gate), spans, eps);
    return {results[0], results[1]};
  }
  at::Tensor sum = x;
  if (branch.defined()) sum = gate.defined() ? gated_residual(x, branch, gate, spans) : x + branch;
  return {sum, scaled_norm(sum, weight, bias, spans, eps)};
}

QkNormImpl::QkNormImpl(int64_t width, double eps)
    : weight(register_parameter("weight", at::empty({width}))), eps_(eps) {}

at::Tensor QkNormImpl::forward(const at::Tensor& x, const at::Tensor& rotary, int64_t heads) {
  check(x.dim() == 2 && x.size(1) == weight.size(0) && x.size(1) % heads == 0, "qk norm: x ", x.sizes(),
        ", expected [rows, ", weight.size(0), "], ", heads, " heads");
  const std::array<int64_t, 3> shape = {x.size(0), heads, x.size(1) / heads};
  if (row_kernels_serve(x) && shape[2] % 8 == 0) {
    const auto table = rotary.defined() ? std::optional(rotary) : std::nullopt;
    return FusedQkNorm::apply(x, weight, table, eps_).view(shape);
  }
  const at::Tensor normal = at::rms_norm(x, {x.size(1)}, weight.to(x.scalar_type()), eps_).view(shape);
  return rotary.defined() ? rotate(normal, rotary) : normal;
}

void QkNormImpl::initialise() { torch::nn::init::ones_(weight); }

AffineNormImpl::AffineNormImpl(int64_t width, double eps)
    : weight(register_parameter("weight", at::empty({width}))),
      bias(register_parameter("bias", at::empty({width}))),
      eps_(eps) {}

Normed AffineNormImpl::forward(const Residual& residual, const Spans& spans) {
  const int64_t videos = spans.back().first + spans.back().videos;
  const auto of_each_video = [&](const at::Tensor& vector) {
    return vector.to(wide(residual.x.scalar_type())).expand({videos, vector.size(0)});
  };
  return residual_norm(residual, of_each_video(weight), of_each_video(bias), spans, eps_);
}

void AffineNormImpl::initialise() {
  torch::nn::init::ones_(weight);
  torch::nn::init::zeros_(bias);
}

}  // namespace moga
