// The norm of queries and keys, with the rotary embedding in the same pass:
//
//   y = rotate(x / √(mean x² + eps) · weight)      mean over all heads, rotation as in rope.h
//
// It sits between the q or k product and attention. Computes in float32 whatever the dtype of x; on CUDA in bfloat16 it
// is one kernel forward and one backward (norm_cuda.h).
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

namespace moga {

class QkNormImpl : public torch::nn::Module {
 public:
  QkNormImpl(int64_t width, double eps);
  // x [rows, C] → [rows, H, D]; rotated by `rotary` [rows, D/2] unless it is undefined (text attention).
  at::Tensor forward(const at::Tensor& x, const at::Tensor& rotary, int64_t heads);
  void initialise();

  at::Tensor weight;  // [C]

 private:
  double eps_;
};
TORCH_MODULE(QkNorm);

}  // namespace moga
