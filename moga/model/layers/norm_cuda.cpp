// See norm_cuda.h.
#include "moga/model/layers/norm_cuda.h"

#include <ATen/ATen.h>

#include "moga/attention/kernel_tensors.h"

#ifdef MOGA_CUDA
#include <c10/core/DeviceGuard.h>

#include "moga/core/cuda_stream.h"
#include "moga/kernels/adaptive_norm.h"
#include "moga/kernels/channel_norm.h"
#include "moga/kernels/column_sum.h"
#include "moga/kernels/gated_residual.h"
#include "moga/kernels/qk_norm.h"

namespace moga {
namespace {

using kernels::Bfloat16;

kernels::RowShape shape_of(const at::Tensor& x, const EqualVideos& span) {
  return {span.videos, span.tokens, static_cast<int32_t>(x.size(1))};
}

// Rows [N, C] of the span; null for an undefined tensor, here and below.
const Bfloat16* rows(const at::Tensor& x, const EqualVideos& span) {
  return x.defined() ? kernel_read(x) + span.begin * x.size(1) : nullptr;
}

Bfloat16* rows_to(at::Tensor& x, const EqualVideos& span) {
  return x.defined() ? kernel_write(x) + span.begin * x.size(1) : nullptr;
}

// Vectors [B, C] from the first video of the span on.
const float* vectors(const at::Tensor& x, const EqualVideos& span) {
  return x.defined() ? x.const_data_ptr<float>() + span.first * x.size(1) : nullptr;
}
float* vectors_to(at::Tensor& x, const EqualVideos& span) {
  return x.defined() ? x.mutable_data_ptr<float>() + span.first * x.size(1) : nullptr;
}

at::Tensor plain(const at::Tensor& vectors) { return vectors.to(at::kFloat).contiguous(); }

at::Tensor scratch(const at::Tensor& x, const kernels::RowShape& shape, int64_t sums) {
  return at::empty({sums * static_cast<int64_t>(kernels::partial_sums(shape))}, x.options().dtype(at::kFloat));
}

EqualVideos all_rows(const at::Tensor& x) { return {.first = 0, .videos = 1, .begin = 0, .tokens = x.size(0)}; }

const float* angles(const at::Tensor& table) {
  return table.defined() ? reinterpret_cast<const float*>(table.const_data_ptr<c10::complex<float>>()) : nullptr;
}

int32_t head_dim(const at::Tensor& table) { return table.defined() ? static_cast<int32_t>(2 * table.size(1)) : 8; }

}  // namespace

Normalised adaptive_norm_cuda(const Residual& residual, const at::Tensor& weight_, const at::Tensor& bias_,
                              const Spans& spans, double eps) {
  const at::Tensor &before = residual.x, &branch = residual.branch;
  const c10::DeviceGuard guard(before.device());
  const at::Tensor weight = plain(weight_), bias = plain(bias_);
  const at::Tensor gate = residual.gate.defined() ? plain(residual.gate) : at::Tensor();
  const auto floats = before.options().dtype(at::kFloat);
  at::Tensor x = branch.defined() ? at::empty_like(before) : at::Tensor();
  Normalised result = {x, at::empty_like(before), at::empty({before.size(0)}, floats),
                       at::empty({before.size(0)}, floats)};
  for (const EqualVideos& span : spans)
    kernels::adaptive_norm({.before = rows(before, span),
                            .branch = rows(branch, span),
                            .gate = vectors(gate, span),
                            .x = rows_to(x, span),
                            .weight = vectors(weight, span),
                            .bias = vectors(bias, span),
                            .y = rows_to(result.y, span),
                            .mean = result.mean.mutable_data_ptr<float>() + span.begin,
                            .rstd = result.rstd.mutable_data_ptr<float>() + span.begin,
                            .eps = static_cast<float>(eps),
                            .shape = shape_of(before, span),
                            .stream = current_cuda_stream(before.device())});
  if (!branch.defined()) result.x = before;
  return result;
}

NormGradients adaptive_norm_backward_cuda(const at::Tensor& dy, const at::Tensor& others, const Residual& residual,
                                          const at::Tensor& weight_, const Normalised& forward, const Spans& spans,
                                          bool with_vectors) {
  const at::Tensor& x = forward.x;
  const c10::DeviceGuard guard(x.device());
  const bool gated = residual.gate.defined();
  const at::Tensor weight = plain(weight_), gate = gated ? plain(residual.gate) : at::Tensor();
  const at::Tensor branch = gated ? residual.branch : at::Tensor();
  NormGradients result = {at::empty_like(x), gated ? at::empty_like(x) : at::Tensor(), {}, {}, {}};
  if (with_vectors) {
    result.weight = at::empty_like(weight), result.bias = at::empty_like(weight);
    if (gated) result.gate = at::empty_like(gate);
  }
  for (const EqualVideos& span : spans) {
    const kernels::RowShape shape = shape_of(x, span);
    at::Tensor partial = scratch(x, shape, gated ? 3 : 2);
    kernels::adaptive_norm_backward({.dy = rows(dy, span),
                                     .x = rows(x, span),
                                     .weight = vectors(weight, span),
                                     .mean = forward.mean.const_data_ptr<float>() + span.begin,
                                     .rstd = forward.rstd.const_data_ptr<float>() + span.begin,
                                     .dx_others = rows(others, span),
                                     .branch = rows(branch, span),
                                     .gate = vectors(gate, span),
                                     .dx = rows_to(result.x, span),
                                     .dbranch = rows_to(result.branch, span),
                                     .dweight = vectors_to(result.weight, span),
                                     .dbias = vectors_to(result.bias, span),
                                     .dgate = vectors_to(result.gate, span),
                                     .partial = partial.mutable_data_ptr<float>(),
                                     .shape = shape,
                                     .stream = current_cuda_stream(x.device())});
  }
  return result;
}

at::Tensor gated_residual_cuda(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& gate_,
                               const Spans& spans) {
  const c10::DeviceGuard guard(x.device());
  const at::Tensor gate = plain(gate_);
  at::Tensor y = at::empty_like(x);
  for (const EqualVideos& span : spans)
    kernels::gated_residual({.x = rows(x, span),
                             .branch = rows(branch, span),
                             .gate = vectors(gate, span),
                             .y = rows_to(y, span),
                             .shape = shape_of(x, span),
                             .stream = current_cuda_stream(x.device())});
  return y;
}

std::array<at::Tensor, 2> gated_residual_backward_cuda(const at::Tensor& dy, const at::Tensor& branch,
                                                       const at::Tensor& gate_, const Spans& spans, bool with_vectors) {
  const c10::DeviceGuard guard(dy.device());
  const at::Tensor gate = plain(gate_);
  at::Tensor dbranch = at::empty_like(branch), dgate;
  if (with_vectors) dgate = at::empty_like(gate);
  for (const EqualVideos& span : spans) {
    const kernels::RowShape shape = shape_of(dy, span);
    at::Tensor partial = scratch(dy, shape, 1);
    kernels::gated_residual_backward({.dy = rows(dy, span),
                                      .branch = rows(branch, span),
                                      .gate = vectors(gate, span),
                                      .dbranch = rows_to(dbranch, span),
                                      .dgate = vectors_to(dgate, span),
                                      .partial = partial.mutable_data_ptr<float>(),
                                      .shape = shape,
                                      .stream = current_cuda_stream(dy.device())});
  }
  return {dbranch, dgate};
}

at::Tensor qk_norm_cuda(const at::Tensor& x, const at::Tensor& weight_, const at::Tensor& table, double eps) {
  const c10::DeviceGuard guard(x.device());
  const at::Tensor weight = plain(weight_);
  at::Tensor y = at::empty_like(x);
  const EqualVideos span = all_rows(x);
  kernels::qk_norm({.x = rows(x, span),
                    .weight = weight.const_data_ptr<float>(),
                    .table = angles(table),
                    .y = rows_to(y, span),
                    .head_dim = head_dim(table),
                    .eps = static_cast<float>(eps),
                    .shape = shape_of(x, span),
                    .stream = current_cuda_stream(x.device())});
  return y;
}

std::array<at::Tensor, 2> qk_norm_backward_cuda(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight_,
                                                const at::Tensor& table, double eps) {
  const c10::DeviceGuard guard(x.device());
  const at::Tensor weight = plain(weight_);
  const EqualVideos span = all_rows(x);
  const kernels::RowShape shape = shape_of(x, span);
  at::Tensor dx = at::empty_like(x), dweight = at::empty_like(weight), partial = scratch(x, shape, 1);
  kernels::qk_norm_backward({.dy = rows(dy, span),
                             .x = rows(x, span),
                             .weight = weight.const_data_ptr<float>(),
                             .table = angles(table),
                             .dx = rows_to(dx, span),
                             .dweight = dweight.mutable_data_ptr<float>(),
                             .partial = partial.mutable_data_ptr<float>(),
                             .head_dim = head_dim(table),
                             .eps = static_cast<float>(eps),
                             .shape = shape,
                             .stream = current_cuda_stream(x.device())});
  return {dx, dweight};
}

at::Tensor column_sum_cuda(const at::Tensor& x) {
  const c10::DeviceGuard guard(x.device());
  const EqualVideos span = all_rows(x);
  const kernels::RowShape shape = shape_of(x, span);
  at::Tensor out = at::empty({x.size(1)}, x.options().dtype(at::kFloat)), partial = scratch(x, shape, 1);
  kernels::column_sum({.x = rows(x, span),
                       .out = out.mutable_data_ptr<float>(),
                       .partial = partial.mutable_data_ptr<float>(),
                       .shape = shape,
                       .stream = current_cuda_stream(x.device())});
  return out;
}

bool channel_norm_serves(const at::Tensor& x) {
  if (!x.is_cuda() || x.scalar_type() != at::kBFloat16 || x.numel() == 0) return false;
  const auto layout = x.dim() == 5 ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::ChannelsLast;
  return (x.dim() == 4 || x.dim() == 5) && x.is_contiguous(layout) && x.size(1) % 8 == 0 &&
         x.size(1) <= kernels::kMaxChannels;
}

void channel_norm_cuda(const at::Tensor& x, const at::Tensor& gamma_, bool silu, at::Tensor y, at::Tensor kept) {
  const c10::DeviceGuard guard(x.device());
  const at::Tensor gamma = gamma_.flatten().to(x.scalar_type());
  // Frames of other videos lie between, or some are to be kept of each.
  const bool apart = x.dim() == 5 && (y.stride(0) != x.stride(0) || kept.defined());
  const int64_t parts = apart ? x.size(0) : 1, tokens = x.numel() / x.size(1) / parts;
  const int64_t kept_tokens = kept.defined() ? kept.numel() / kept.size(1) / parts : 0;
  for (int64_t part = 0; part < parts; ++part)
    kernels::channel_norm({.x = kernel_read(x) + part * x.stride(0),
                           .gamma = kernel_read(gamma),
                           .y = kernel_write(y) + part * y.stride(0),
                           .kept = kept.defined() ? kernel_write(kept) + part * kept.stride(0) : nullptr,
                           .kept_from = tokens - kept_tokens,
                           .silu = silu,
                           .tokens = tokens,
                           .channels = static_cast<int32_t>(x.size(1)),
                           .stream = current_cuda_stream(x.device())});
}

}  // namespace moga

#else

namespace moga {

Normalised adaptive_norm_cuda(const Residual&, const at::Tensor&, const at::Tensor&, const Spans&, double) {
  kernels_not_compiled();
}
NormGradients adaptive_norm_backward_cuda(const at::Tensor&, const at::Tensor&, const Residual&, const at::Tensor&,
                                          const Normalised&, const Spans&, bool) {
  kernels_not_compiled();
}
at::Tensor gated_residual_cuda(const at::Tensor&, const at::Tensor&, const at::Tensor&, const Spans&) {
  kernels_not_compiled();
}
std::array<at::Tensor, 2> gated_residual_backward_cuda(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                                       const Spans&, bool) {
  kernels_not_compiled();
}
at::Tensor qk_norm_cuda(const at::Tensor&, const at::Tensor&, const at::Tensor&, double) { kernels_not_compiled(); }
std::array<at::Tensor, 2> qk_norm_backward_cuda(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                                const at::Tensor&, double) {
  kernels_not_compiled();
}
at::Tensor column_sum_cuda(const at::Tensor&) { kernels_not_compiled(); }
bool channel_norm_serves(const at::Tensor&) { return false; }
void channel_norm_cuda(const at::Tensor&, const at::Tensor&, bool, at::Tensor, at::Tensor) { kernels_not_compiled(); }

}  // namespace moga

#endif
