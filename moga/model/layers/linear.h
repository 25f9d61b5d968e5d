// Products of the model: y = x Wᵀ + b in the dtype of x. Weights may be kept wider (float32 masters) and are cast at
// use, so that one set of modules serves training and inference. No norms, no attention.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <string>
#include <vector>

namespace moga {

// The dtype of norms, modulation and rotary embedding beside products in `dtype`: float32, or float64 for float64.
inline at::ScalarType wide(at::ScalarType dtype) { return dtype == at::kDouble ? at::kDouble : at::kFloat; }

// x [..., in] · weight [out, in]ᵀ + bias [out] → [..., out]; weight and bias are cast to x's dtype.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// Parameters are allocated, not filled: fill() or a file does that, so that loading a large model writes them once.
class LinearImpl : public torch::nn::Module {
 public:
  LinearImpl(int64_t in, int64_t out);
  at::Tensor forward(const at::Tensor& x) { return linear(x, weight, bias); }
  void fill_xavier();                  // weight Xavier uniform, bias 0
  void fill_normal(double deviation);  // weight N(0, deviation²), bias 0

  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out]
};
TORCH_MODULE(Linear);

// The products of several layers with the same x [..., in]. In training on CUDA in bfloat16 the gradient of x is summed
// inside their backward products, where that of separate calls is added up afterwards.
std::vector<at::Tensor> linears(const at::Tensor& x, const std::vector<Linear>& products);

enum class Activation { kGeluTanh, kSilu };

// Linear, activation, Linear under Wan2.1's names "0" and "2" (ffn, text_embedding, time_embedding). Without gradients
// more rows than `hidden_bytes` allows are taken in chunks: each row's result is the same, and the hidden layer, the
// widest tensor of a model, does not grow with the duration of a video.
class MlpImpl : public torch::nn::Module {
 public:
  MlpImpl(int64_t in, int64_t hidden, int64_t out, Activation activation);
  at::Tensor forward(const at::Tensor& x);  // [..., in] → [..., out]

  Linear first{nullptr}, second{nullptr};
  int64_t hidden_bytes = int64_t{1} << 30;  // of a chunk's hidden layer

 private:
  at::Tensor hidden(const at::Tensor& x);                   // activation(first(x))
  at::Tensor in_chunks(const at::Tensor& x, int64_t rows);  // x [N, in], `rows` at a time

  Activation activation_;
};
TORCH_MODULE(Mlp);

}  // namespace moga
