// Flash backend: ATen's varlen FlashAttention, forward and backward, on CUDA.
//
// The kernels read the offsets on the device. The host only provides an upper bound on the longest group, which sizes
// the grid (surplus thread blocks return at once), so nothing here waits for the device.
#include <ATen/ATen.h>

#include <limits>

#include "moga/attention/backend.h"
#include "moga/core/check.h"

namespace moga {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kMostGroups = 65535;  // groups are the second dimension of the grid

// The kernels accept any stride between rows, but elements must be contiguous.
at::Tensor dense_rows(const at::Tensor& x) { return x.stride(-1) == 1 ? x : x.contiguous(); }

bool can_serve(const at::Tensor& q) {
  const bool half = q.scalar_type() == at::kHalf || q.scalar_type() == at::kBFloat16;
  return q.is_cuda() && half && q.size(-1) <= 256 && q.size(-1) % 8 == 0;
}

bool nothing_to_do(const Grouping& grouping) { return grouping.query.count == 0 || grouping.key.count == 0; }

GroupedAttention forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping) {
  if (nothing_to_do(grouping))
    return {at::zeros_like(q, at::MemoryFormat::Contiguous),
            at::full({q.size(0), q.size(1)}, -kInfinity, q.options().dtype(at::kFloat)),
            {}};
  check(grouping.groups() <= kMostGroups, "attention backend flash serves up to ", kMostGroups, " groups, got ",
        grouping.groups());
  const auto [output, lse, rng_state, unused, mask] = at::_flash_attention_forward(
      dense_rows(q), dense_rows(k), dense_rows(v), grouping.query.offsets, grouping.key.offsets, grouping.query.longest,
      grouping.key.longest, /*dropout_p=*/0.0, /*is_causal=*/false,
      /*return_debug_mask=*/false, attention_scale(q));
  // lse is [H, nq], and +inf for a query without keys
  const at::Tensor rows = lse.masked_fill(lse == kInfinity, -kInfinity).transpose(0, 1).contiguous();
  return {output, rows, {rng_state, unused}};
}

std::array<at::Tensor, 3> backward(const at::Tensor& grad, const at::Tensor& q, const at::Tensor& k,
                                   const at::Tensor& v, const at::Tensor& output, const at::Tensor& lse,
                                   const std::vector<at::Tensor>& saved, const Grouping& grouping) {
  if (nothing_to_do(grouping))
    return {at::zeros_like(q, at::MemoryFormat::Contiguous), at::zeros_like(k, at::MemoryFormat::Contiguous),
            at::zeros_like(v, at::MemoryFormat::Contiguous)};
  const at::Tensor by_head = lse.masked_fill(lse == -kInfinity, kInfinity).t().contiguous();  // [H, nq]
  // Read with dropout only; a caller that kept nothing passes nothing.
  const auto state = q.options().dtype(at::kUInt64);
  const at::Tensor rng_state = saved.empty() ? at::empty({2}, state) : saved[0];
  const at::Tensor unused = saved.empty() ? at::empty({}, state) : saved[1];
  const auto [dq, dk, dv] = at::_flash_attention_backward(
      grad, dense_rows(q), dense_rows(k), dense_rows(v), output, by_head, grouping.query.offsets, grouping.key.offsets,
      grouping.query.longest, grouping.key.longest, /*dropout_p=*/0.0, /*is_causal=*/false, rng_state, unused,
      attention_scale(q));
  return {dq, dk, dv};
}

}  // namespace

const Backend kFlashBackend{"ATen's varlen FlashAttention: float16 and bfloat16 on CUDA, D ≤ 256, D % 8 = 0", can_serve,
                            forward, backward};

}  // namespace moga
