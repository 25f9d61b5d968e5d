// See image_attention.h.
#include "moga/model/vae/image_attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "moga/attention/kernel_tensors.h"

#ifdef MOGA_CUDA
#include <c10/core/DeviceGuard.h>

#include "moga/core/cuda_stream.h"
#include "moga/kernels/row_softmax.h"
#endif

namespace moga {
namespace {

bool products_serve([[maybe_unused]] const at::Tensor& q) {
#ifdef MOGA_CUDA
  return q.is_cuda() && q.scalar_type() == at::kBFloat16 && !at::GradMode::is_enabled() && q.numel() > 0;
#else
  return false;
#endif
}

// scores [n, L] float32 → softmax(scale · scores) bfloat16
at::Tensor softmax_cuda([[maybe_unused]] const at::Tensor& scores, [[maybe_unused]] double scale) {
#ifdef MOGA_CUDA
  const c10::DeviceGuard guard(scores.device());
  at::Tensor y = at::empty_like(scores, scores.options().dtype(at::kBFloat16));
  kernels::row_softmax({.x = scores.const_data_ptr<float>(),
                        .y = kernel_write(y),
                        .scale = static_cast<float>(scale),
                        .rows = scores.size(0),
                        .columns = scores.size(1),
                        .stream = current_cuda_stream(scores.device())});
  return y;
#else
  kernels_not_compiled();
#endif
}

// One image, [L, C] each. The products return float32 sums: scores rounded to bfloat16, or computed from a q that is
// scaled by 1/√C and rounded, would have a larger error than everything else here.
void attend_image(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mixed) {
  constexpr int64_t kScores = int64_t{1} << 26;  // one slice of query rows: 256 MiB, and half of that as bfloat16
  const int64_t pixels = q.size(0), rows = std::clamp<int64_t>(kScores / pixels, 1, pixels);
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(1)));
  for (int64_t begin = 0; begin < pixels; begin += rows) {
    const int64_t count = std::min(rows, pixels - begin);
    const at::Tensor scores = at::mm(q.narrow(0, begin, count), k.t(), at::kFloat);  // [count, L]
    at::Tensor slice = mixed.narrow(0, begin, count);
    at::mm_out(slice, softmax_cuda(scores, scale), v);
  }
}

}  // namespace

at::Tensor image_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (!products_serve(q)) {
    const auto one_head = [](const at::Tensor& x) { return x.unsqueeze(1); };  // [N, 1, L, C]
    return at::scaled_dot_product_attention(one_head(q), one_head(k), one_head(v)).squeeze(1);
  }
  const at::Tensor mixed = at::empty(q.sizes(), q.options());
  for (int64_t image = 0; image < q.size(0); ++image)
    attend_image(q.select(0, image), k.select(0, image), v.select(0, image), mixed.select(0, image));
  return mixed;
}

}  // namespace moga
