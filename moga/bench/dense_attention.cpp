// See dense_attention.h.
#include "moga/bench/dense_attention.h"

#include <ATen/ATen.h>

namespace moga {
namespace {

bool served_by_cudnn(const at::Tensor& q) {
  return q.is_cuda() && (q.scalar_type() == at::kHalf || q.scalar_type() == at::kBFloat16);
}

at::Tensor by_head(const at::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); }  // [N, H, D] → [1, H, N, D]

}  // namespace

const char* dense_backend(const at::Tensor& q) { return served_by_cudnn(q) ? "cudnn" : "sdpa"; }

at::Tensor dense_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  at::Tensor output;  // [1, H, Nq, D]
  if (served_by_cudnn(q))
    output = std::get<0>(at::_scaled_dot_product_cudnn_attention(
        by_head(q), by_head(k), by_head(v), /*attn_bias=*/std::nullopt,
        /*compute_log_sumexp=*/at::GradMode::is_enabled() && q.requires_grad()));
  else
    output = at::scaled_dot_product_attention(by_head(q), by_head(k), by_head(v));
  return output.squeeze(0).transpose(0, 1);
}

}  // namespace moga
