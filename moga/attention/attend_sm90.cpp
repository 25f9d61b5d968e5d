// Backend sm90: our own kernels for Hopper (moga/kernels/grouped_attention.h), forward and backward.
//
// Allocates tensors and passes plain pointers to the kernels, which read the offsets on the device, so nothing waits
// for it. The gradient of q is summed in no fixed order unless PyTorch's deterministic algorithms are enabled.
#include <ATen/ATen.h>

#include "moga/attention/backend.h"

#ifdef MOGA_CUDA
#include <c10/core/DeviceGuard.h>

#include "moga/attention/kernel_tensors.h"
#include "moga/core/cuda_stream.h"
#include "moga/kernels/grouped_attention.h"

namespace moga {
namespace {

bool can_serve(const at::Tensor& q) {
  const int64_t size = q.size(-1);
  return q.is_cuda() && q.scalar_type() == at::kBFloat16 && (size == 64 || size == 128) &&
         kernels::grouped_attention_runs_on(q.device().index());
}

// Rows in the layout that TMA needs: heads contiguous within a row, every row at a multiple of 16 bytes.
at::Tensor dense_heads(const at::Tensor& x) {
  const bool dense = x.stride(2) == 1 && x.stride(1) == x.size(2) && x.stride(0) % 8 == 0 && x.stride(0) > 0 &&
                     reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0;
  return dense ? x : x.clone(at::MemoryFormat::Contiguous);
}

kernels::HeadRows head_rows(const at::Tensor& x) { return {kernel_read(x), x.stride(0)}; }

kernels::GroupedAttentionShape shape_of(const at::Tensor& q, const at::Tensor& k, const Grouping& grouping) {
  return {.queries = q.size(0),
          .keys = k.size(0),
          .groups = static_cast<int32_t>(grouping.groups()),
          .heads = static_cast<int32_t>(q.size(1)),
          .head_size = static_cast<int32_t>(q.size(2)),
          .scale = static_cast<float>(attention_scale(q)),
          .q_offsets = grouping.query.offsets.const_data_ptr<int32_t>(),
          .k_offsets = grouping.key.offsets.const_data_ptr<int32_t>(),
          .stream = current_cuda_stream(q.device())};
}

at::Tensor scratch_of(size_t bytes, const at::Tensor& q) {
  return at::empty({static_cast<int64_t>(bytes)}, q.options().dtype(at::kByte));
}

GroupedAttention forward(const at::Tensor& q_rows, const at::Tensor& k_rows, const at::Tensor& v_rows,
                         const Grouping& grouping) {
  const c10::DeviceGuard guard(q_rows.device());
  const at::Tensor q = dense_heads(q_rows), k = dense_heads(k_rows), v = dense_heads(v_rows);
  at::Tensor output = at::empty(q.sizes(), q.options());
  at::Tensor lse = at::empty({q.size(0), q.size(1)}, q.options().dtype(at::kFloat));
  const auto shape = shape_of(q, k, grouping);
  at::Tensor scratch = scratch_of(kernels::grouped_attention_forward_scratch(shape), q);
  kernels::grouped_attention_forward({.shape = shape,
                                      .q = head_rows(q),
                                      .k = head_rows(k),
                                      .v = head_rows(v),
                                      .output = kernel_write(output),
                                      .lse = lse.mutable_data_ptr<float>(),
                                      .scratch = scratch.mutable_data_ptr()});
  return {output, lse, {}};
}

std::array<at::Tensor, 3> backward(const at::Tensor& grad_rows, const at::Tensor& q_rows, const at::Tensor& k_rows,
                                   const at::Tensor& v_rows, const at::Tensor& output_rows, const at::Tensor& lse_rows,
                                   const std::vector<at::Tensor>&, const Grouping& grouping) {
  const c10::DeviceGuard guard(q_rows.device());
  const at::Tensor q = dense_heads(q_rows), k = dense_heads(k_rows), v = dense_heads(v_rows);
  const at::Tensor output = dense_heads(output_rows), grad = dense_heads(grad_rows), lse = lse_rows.contiguous();
  at::Tensor dq = at::empty(q.sizes(), q.options()), dk = at::empty(k.sizes(), k.options()), dv = at::empty_like(dk);
  const auto shape = shape_of(q, k, grouping);
  at::Tensor scratch = scratch_of(kernels::grouped_attention_backward_scratch(shape), q);
  kernels::grouped_attention_backward({.shape = shape,
                                       .q = head_rows(q),
                                       .k = head_rows(k),
                                       .v = head_rows(v),
                                       .output = head_rows(output),
                                       .grad = head_rows(grad),
                                       .lse = lse.const_data_ptr<float>(),
                                       .dq = kernel_write(dq),
                                       .dk = kernel_write(dk),
                                       .dv = kernel_write(dv),
                                       .deterministic = at::globalContext().deterministicAlgorithms(),
                                       .scratch = scratch.mutable_data_ptr()});
  return {dq, dk, dv};
}

}  // namespace

const Backend kSm90Backend{"our kernels for Hopper: bfloat16 on compute capability 9.0, D = 64 or 128", can_serve,
                           forward, backward};

}  // namespace moga

#else

namespace moga {

const Backend kSm90Backend{"nothing, because this program was built without its CUDA kernels (MOGA_CUDA)",
                           [](const at::Tensor&) { return false; }, nullptr, nullptr};

}  // namespace moga

#endif
