// See norm_cuda.h.
#include "moga/model/layers/norm_cuda.h"

#include <ATen/ATen.h>

#include "moga/attention/kernel_tensors.h"
#include "moga/core/check.h"

#ifdef MOGA_CUDA
#include <c10/core/DeviceGuard.h>

#include "moga/core/cuda_stream.h"
#include "moga/kernels/adaptive_norm.h"
#include "moga/kernels/channel_norm.h"
#include "moga/kernels/column_sum.h"
#include "moga/kernels/eight_bits.h"
#include "moga/kernels/gated_residual.h"
#include "moga/kernels/qk_norm.h"

namespace moga {
namespace {

using kernels::Bfloat16;

constexpr int64_t kMostVectors = 65535;  // of one launch: the grid's second dimension

kernels::RowShape shape_of(const at::Tensor& x, const Segment& segment) {
  check(segment.vectors <= kMostVectors, "a segment of ", segment.vectors, " vectors, expected at most ", kMostVectors);
  return {segment.vectors, segment.rows, static_cast<int32_t>(x.size(1))};
}

// The segment's rows of x [N, C]; null for an undefined tensor, here and below.
const Bfloat16* rows(const at::Tensor& x, const Segment& segment) {
  return x.defined() ? kernel_read(x) + segment.first_row * x.size(1) : nullptr;
}

Bfloat16* rows_to(at::Tensor& x, const Segment& segment) {
  return x.defined() ? kernel_write(x) + segment.first_row * x.size(1) : nullptr;
}

// The segment's vectors of x [V, C].
const float* vectors(const at::Tensor& x, const Segment& segment) {
  return x.defined() ? x.const_data_ptr<float>() + segment.first_vector * x.size(1) : nullptr;
}
float* vectors_to(at::Tensor& x, const Segment& segment) {
  return x.defined() ? x.mutable_data_ptr<float>() + segment.first_vector * x.size(1) : nullptr;
}

at::Tensor plain(const at::Tensor& vectors) { return vectors.to(at::kFloat).contiguous(); }

at::Tensor scratch(const at::Tensor& x, const kernels::RowShape& shape, int64_t sums) {
  return at::empty({sums * static_cast<int64_t>(kernels::partial_sums(shape))}, x.options().dtype(at::kFloat));
}

// For the gradients of vectors [V, C]: those that no segment uses stay zero.
at::Tensor gradient_like(const at::Tensor& vectors, const Segments& segments) {
  int64_t used = 0;
  for (const Segment& segment : segments) used += segment.vectors;
  return used == vectors.size(0) ? at::empty_like(vectors) : at::zeros_like(vectors);
}

Segment all_rows(const at::Tensor& x) { return {.first_vector = 0, .vectors = 1, .first_row = 0, .rows = x.size(0)}; }

const float* angles(const at::Tensor& table) {
  return table.defined() ? reinterpret_cast<const float*>(table.const_data_ptr<c10::complex<float>>()) : nullptr;
}

int32_t head_dim(const at::Tensor& table) { return table.defined() ? static_cast<int32_t>(2 * table.size(1)) : 8; }

}  // namespace

Normalised adaptive_norm_cuda(const Residual& residual, const at::Tensor& weight_, const at::Tensor& bias_,
                              const Segments& segments, double eps) {
  const at::Tensor &before = residual.x, &branch = residual.branch;
  const c10::DeviceGuard guard(before.device());
  const at::Tensor weight = plain(weight_), bias = plain(bias_);
  const at::Tensor gate = residual.gate.defined() ? plain(residual.gate) : at::Tensor();
  const auto floats = before.options().dtype(at::kFloat);
  at::Tensor x = branch.defined() ? at::empty_like(before) : at::Tensor();
  Normalised result = {x, at::empty_like(before), at::empty({before.size(0)}, floats),
                       at::empty({before.size(0)}, floats)};
  for (const Segment& segment : segments)
    kernels::adaptive_norm({.before = rows(before, segment),
                            .branch = rows(branch, segment),
                            .gate = vectors(gate, segment),
                            .x = rows_to(x, segment),
                            .weight = vectors(weight, segment),
                            .bias = vectors(bias, segment),
                            .y = rows_to(result.y, segment),
                            .mean = result.mean.mutable_data_ptr<float>() + segment.first_row,
                            .rstd = result.rstd.mutable_data_ptr<float>() + segment.first_row,
                            .eps = static_cast<float>(eps),
                            .shape = shape_of(before, segment),
                            .stream = current_cuda_stream(before.device())});
  if (!branch.defined()) result.x = before;
  return result;
}

NormGradients adaptive_norm_backward_cuda(const at::Tensor& dy, const at::Tensor& others, const Residual& residual,
                                          const at::Tensor& weight_, const Normalised& forward,
                                          const Segments& segments, bool with_vectors) {
  const at::Tensor& x = forward.x;
  const c10::DeviceGuard guard(x.device());
  const bool gated = residual.gate.defined();
  const at::Tensor weight = plain(weight_), gate = gated ? plain(residual.gate) : at::Tensor();
  const at::Tensor branch = gated ? residual.branch : at::Tensor();
  NormGradients result = {at::empty_like(x), gated ? at::empty_like(x) : at::Tensor(), {}, {}, {}};
  if (with_vectors) {
    result.weight = gradient_like(weight, segments), result.bias = gradient_like(weight, segments);
    if (gated) result.gate = gradient_like(gate, segments);
  }
  for (const Segment& segment : segments) {
    const kernels::RowShape shape = shape_of(x, segment);
    at::Tensor partial = scratch(x, shape, gated ? 3 : 2);
    kernels::adaptive_norm_backward({.dy = rows(dy, segment),
                                     .x = rows(x, segment),
                                     .weight = vectors(weight, segment),
                                     .mean = forward.mean.const_data_ptr<float>() + segment.first_row,
                                     .rstd = forward.rstd.const_data_ptr<float>() + segment.first_row,
                                     .dx_others = rows(others, segment),
                                     .branch = rows(branch, segment),
                                     .gate = vectors(gate, segment),
                                     .dx = rows_to(result.x, segment),
                                     .dbranch = rows_to(result.branch, segment),
                                     .dweight = vectors_to(result.weight, segment),
                                     .dbias = vectors_to(result.bias, segment),
                                     .dgate = vectors_to(result.gate, segment),
                                     .partial = partial.mutable_data_ptr<float>(),
                                     .shape = shape,
                                     .stream = current_cuda_stream(x.device())});
  }
  return result;
}

at::Tensor gated_residual_cuda(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& gate_,
                               const Segments& segments) {
  const c10::DeviceGuard guard(x.device());
  const at::Tensor gate = plain(gate_);
  at::Tensor y = at::empty_like(x);
  for (const Segment& segment : segments)
    kernels::gated_residual({.x = rows(x, segment),
                             .branch = rows(branch, segment),
                             .gate = vectors(gate, segment),
                             .y = rows_to(y, segment),
                             .shape = shape_of(x, segment),
                             .stream = current_cuda_stream(x.device())});
  return y;
}

std::array<at::Tensor, 2> gated_residual_backward_cuda(const at::Tensor& dy, const at::Tensor& branch,
                                                       const at::Tensor& gate_, const Segments& segments,
                                                       bool with_vectors) {
  const c10::DeviceGuard guard(dy.device());
  const at::Tensor gate = plain(gate_);
  at::Tensor dbranch = at::empty_like(branch), dgate;
  if (with_vectors) dgate = gradient_like(gate, segments);
  for (const Segment& segment : segments) {
    const kernels::RowShape shape = shape_of(dy, segment);
    at::Tensor partial = scratch(dy, shape, 1);
    kernels::gated_residual_backward({.dy = rows(dy, segment),
                                      .branch = rows(branch, segment),
                                      .gate = vectors(gate, segment),
                                      .dbranch = rows_to(dbranch, segment),
                                      .dgate = vectors_to(dgate, segment),
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
  const Segment segment = all_rows(x);
  kernels::qk_norm({.x = rows(x, segment),
                    .weight = weight.const_data_ptr<float>(),
                    .table = angles(table),
                    .y = rows_to(y, segment),
                    .head_dim = head_dim(table),
                    .eps = static_cast<float>(eps),
                    .shape = shape_of(x, segment),
                    .stream = current_cuda_stream(x.device())});
  return y;
}

std::array<at::Tensor, 2> qk_norm_backward_cuda(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight_,
                                                const at::Tensor& table, double eps) {
  const c10::DeviceGuard guard(x.device());
  const at::Tensor weight = plain(weight_);
  const Segment segment = all_rows(x);
  const kernels::RowShape shape = shape_of(x, segment);
  at::Tensor dx = at::empty_like(x), dweight = at::empty_like(weight), partial = scratch(x, shape, 1);
  kernels::qk_norm_backward({.dy = rows(dy, segment),
                             .x = rows(x, segment),
                             .weight = weight.const_data_ptr<float>(),
                             .table = angles(table),
                             .dx = rows_to(dx, segment),
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
  const Segment segment = all_rows(x);
  const kernels::RowShape shape = shape_of(x, segment);
  at::Tensor out = at::empty({x.size(1)}, x.options().dtype(at::kFloat)), partial = scratch(x, shape, 1);
  kernels::column_sum({.x = rows(x, segment),
                       .out = out.mutable_data_ptr<float>(),
                       .partial = partial.mutable_data_ptr<float>(),
                       .shape = shape,
                       .stream = current_cuda_stream(x.device())});
  return out;
}

bool eight_bits_serve(const at::Tensor& x) {
  return x.is_cuda() && x.scalar_type() == at::kBFloat16 && x.is_contiguous() && x.numel() > 0 &&
         x.numel() % kernels::kEightBitStep == 0;
}

Scaled8Bit eight_bits_cuda(const at::Tensor& x, bool gelu) {
  const c10::DeviceGuard guard(x.device());
  const auto floats = x.options().dtype(at::kFloat);
  Scaled8Bit result = {at::empty_like(x, x.options().dtype(at::kFloat8_e4m3fn)), at::empty({}, floats)};
  at::Tensor largest = at::empty({}, floats);
  kernels::eight_bits({.x = kernel_read(x),
                       .y = static_cast<uint8_t*>(result.values.mutable_data_ptr()),
                       .scale = result.scale.mutable_data_ptr<float>(),
                       .largest = largest.mutable_data_ptr<float>(),
                       .count = x.numel(),
                       .gelu = gelu,
                       .stream = current_cuda_stream(x.device())});
  return result;
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
  // Videos need separate launches if they are not adjacent in memory, or if frames of each are to be kept.
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

Normalised adaptive_norm_cuda(const Residual&, const at::Tensor&, const at::Tensor&, const Segments&, double) {
  kernels_not_compiled();
}
NormGradients adaptive_norm_backward_cuda(const at::Tensor&, const at::Tensor&, const Residual&, const at::Tensor&,
                                          const Normalised&, const Segments&, bool) {
  kernels_not_compiled();
}
at::Tensor gated_residual_cuda(const at::Tensor&, const at::Tensor&, const at::Tensor&, const Segments&) {
  kernels_not_compiled();
}
std::array<at::Tensor, 2> gated_residual_backward_cuda(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                                       const Segments&, bool) {
  kernels_not_compiled();
}
at::Tensor qk_norm_cuda(const at::Tensor&, const at::Tensor&, const at::Tensor&, double) { kernels_not_compiled(); }
std::array<at::Tensor, 2> qk_norm_backward_cuda(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                                const at::Tensor&, double) {
  kernels_not_compiled();
}
at::Tensor column_sum_cuda(const at::Tensor&) { kernels_not_compiled(); }
bool eight_bits_serve(const at::Tensor&) { return false; }
Scaled8Bit eight_bits_cuda(const at::Tensor&, bool) { kernels_not_compiled(); }
bool channel_norm_serves(const at::Tensor&) { return false; }
void channel_norm_cuda(const at::Tensor&, const at::Tensor&, bool, at::Tensor, at::Tensor) { kernels_not_compiled(); }

}  // namespace moga

#endif
