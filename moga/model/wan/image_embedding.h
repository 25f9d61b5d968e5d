// Embeddings of images (moga/model/image) → image tokens [I, C] that cross-attention sees:
//
//   norm(linear(GELU(linear(norm(rows + positions)))))
//
// with learned positions in models of first and last frames. Wan2.1's names: img_emb.proj.0 … 4, img_emb.emb_pos.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "moga/model/layers/linear.h"

namespace moga {

// LayerNorm over the last dimension in at least float32, with weight and bias.
class ImageNormImpl : public torch::nn::Module {
 public:
  explicit ImageNormImpl(int64_t width);
  at::Tensor forward(const at::Tensor& x);  // in x's dtype
  void initialise();

  at::Tensor weight, bias;  // [width]
};
TORCH_MODULE(ImageNorm);

class ImageEmbeddingImpl : public torch::nn::Module {
 public:
  // `positions`: rows of a shot's images in models with positions, else 0.
  ImageEmbeddingImpl(int64_t image_dim, int64_t width, int64_t positions);
  at::Tensor forward(const at::Tensor& rows, at::ScalarType dtype);  // [I, image_dim] → [I, C] in `dtype`
  void initialise();

 private:
  ImageNorm norm1_{nullptr}, norm2_{nullptr};
  Linear first_{nullptr}, second_{nullptr};
  at::Tensor emb_pos_;  // [1, positions, image_dim]; undefined without
};
TORCH_MODULE(ImageEmbedding);

}  // namespace moga
