// Products of the model: y = x Wᵀ + b in the dtype of x.
//
// Weights may be stored wider than the products compute (float32 masters), in 8 bits or with a low-rank update, so that
// one set of modules serves training and inference: every product asks its layer for weight_in(dtype)
// (product_weight.h), in the backward pass too. Only where a low-rank update is trained is it a product of its own,
// y += s · up (down x), which needs no gradient of W. Vectors of norms and modulations are small, stay float32, and are
// read directly. No norms, no attention here.
#pragma once

#include <torch/nn/pimpl.h>

#include <vector>

#include "moga/core/device.h"
#include "moga/model/layers/product_weight.h"

namespace moga {

// Parameters are allocated, not filled: fill_xavier() or a file does that, so that loading a large model writes once.
class LinearImpl : public ProductWeight {
 public:
  LinearImpl(int64_t in, int64_t out);
  at::Tensor forward(const at::Tensor& x);  // [..., in] → [..., out]

  // The bias [out] as a product in `dtype` reads it.
  at::Tensor bias_in(at::ScalarType dtype) const;

  void fill_xavier();                  // weight Xavier uniform, bias 0
  void fill_normal(double deviation);  // weight N(0, deviation²), bias 0

  at::Tensor bias;  // [out]

 protected:
  explicit LinearImpl(at::IntArrayRef weight_sizes);
};
TORCH_MODULE(Linear);

// The products of several layers with the same x [..., in]. In training on CUDA in bfloat16 the backward products add
// up the gradient of x themselves; separate calls would add their results afterwards.
std::vector<at::Tensor> linears(const at::Tensor& x, const std::vector<Linear>& products);

enum class Activation { kGeluTanh, kSilu };

// Linear, activation, Linear under Wan2.1's names "0" and "2" (ffn, text_embedding, time_embedding). Without gradients,
// rows beyond what `hidden_bytes` allows are computed in chunks: the result of each row is the same (except in 8-bit
// products, whose inputs have one scale per chunk), and the hidden layer, the widest tensor of a model, does not grow
// with the duration of a video.
class MlpImpl : public torch::nn::Module {
 public:
  MlpImpl(int64_t in, int64_t hidden, int64_t out, Activation activation);
  at::Tensor forward(const at::Tensor& x);  // [..., in] → [..., out]

  Linear first{nullptr}, second{nullptr};
  int64_t hidden_bytes = int64_t{1} << 30;  // limit for the hidden layer of one chunk

 private:
  at::Tensor hidden(const at::Tensor& x);  // activation(first(x))
  // Whether GELU and the quantisation of its result are one step: when both products are in 8 bits. x [N, in].
  bool fuses_8_bits(const at::Tensor& x) const;
  at::Tensor in_chunks(const at::Tensor& x, int64_t rows);  // x [N, in], `rows` at a time

  Activation activation_;
};
TORCH_MODULE(Mlp);

}  // namespace moga
