// One block of the text encoder: x += attention(norm1(x)), x += ffn(norm2(x)), with its own relative position bias.
//
// Scores are q·kᵀ + bias(j - i), not divided by √D (T5 folds the scale into the initialisation of q). Products run in
// the given dtype; the sum x is float32, because T5's activations exceed the range of float16.
#pragma once

#include <torch/nn/pimpl.h>

#include "moga/model/layers/product_weight.h"

namespace moga {

struct TextEncoderConfig;

// Weight of a product without bias, or rows of an embedding.
class TextTableImpl : public ProductWeight {
 public:
  TextTableImpl(int64_t rows, int64_t columns);
  at::Tensor product(const at::Tensor& x) const;  // [..., columns] · Wᵀ → [..., rows], in x's dtype
  // int64 [...] → [..., columns], in the weight's dtype; float32 of an 8-bit weight
  at::Tensor rows(const at::Tensor& indices) const;
  void fill_normal(double deviation);
};
TORCH_MODULE(TextTable);

// y = x / √(mean x² + eps) · weight, [..., d_model] in x's dtype.
class TextNormImpl : public torch::nn::Module {
 public:
  explicit TextNormImpl(const TextEncoderConfig& config);
  at::Tensor forward(const at::Tensor& x);
  void initialise();

 private:
  at::Tensor weight_;  // [d_model]
  double eps_;
};
TORCH_MODULE(TextNorm);

// Data of one batch that all blocks share.
struct TextPositions {
  at::Tensor buckets;  // int64 [2L - 1]: the bucket of each distance j - i = -(L-1) … L-1
  at::Tensor known;    // bool [B, 1, 1, L]: keys that are text tokens, not padding
};

// T5's bidirectional buckets of the distances -(L-1) … L-1. Half of the buckets are for keys after the query; of each
// half, half are exact and half grow logarithmically up to max_distance. int64 [2L - 1].
at::Tensor distance_buckets(int64_t length, int64_t buckets, int64_t max_distance, at::Device device);

class TextAttentionImpl : public torch::nn::Module {
 public:
  explicit TextAttentionImpl(const TextEncoderConfig& config);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& bias);  // [B, L, d_model], [B, H, L, L] → [B, L, d_model]
  void initialise();

 private:
  int64_t heads_;
  TextTable q_{nullptr}, k_{nullptr}, v_{nullptr}, o_{nullptr};
};
TORCH_MODULE(TextAttention);

// fc2(fc1(x) · gelu(gate(x)))
class TextFeedForwardImpl : public torch::nn::Module {
 public:
  explicit TextFeedForwardImpl(const TextEncoderConfig& config);
  at::Tensor forward(const at::Tensor& x);  // [B, L, d_model] → the same
  void initialise();

 private:
  TextTable gate_{nullptr}, fc1_{nullptr}, fc2_{nullptr};
};
TORCH_MODULE(TextFeedForward);

class PositionBiasImpl : public torch::nn::Module {
 public:
  explicit PositionBiasImpl(const TextEncoderConfig& config);
  at::Tensor forward(const at::Tensor& buckets);  // int64 [2L - 1] → [H, L, L]
  void initialise();

 private:
  double deviation_;
  TextTable embedding_{nullptr};
};
TORCH_MODULE(PositionBias);

class TextEncoderBlockImpl : public torch::nn::Module {
 public:
  explicit TextEncoderBlockImpl(const TextEncoderConfig& config);
  // x [B, L, d_model] in float32 (or float64) → the same; products run in `dtype`.
  at::Tensor forward(const at::Tensor& x, const TextPositions& positions, at::ScalarType dtype);
  void initialise();

 private:
  TextNorm norm1_{nullptr}, norm2_{nullptr};
  TextAttention attn_{nullptr};
  TextFeedForward ffn_{nullptr};
  PositionBias pos_embedding_{nullptr};
};
TORCH_MODULE(TextEncoderBlock);

}  // namespace moga
