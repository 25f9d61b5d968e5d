// See image_embedding.h.
#include "moga/model/wan/image_embedding.h"

#include <torch/nn/init.h>
#include <torch/types.h>

#include "moga/core/device.h"

namespace moga {
namespace {

constexpr double kEps = 1e-5;  // of PyTorch's LayerNorm, which the original uses

}  // namespace

ImageNormImpl::ImageNormImpl(int64_t width)
    : weight(register_parameter("weight", at::empty({width}))), bias(register_parameter("bias", at::empty({width}))) {}

at::Tensor ImageNormImpl::forward(const at::Tensor& x) {
  const at::ScalarType in = wide(x.scalar_type());
  return at::layer_norm(x.to(in), {x.size(-1)}, weight.to(in), bias.to(in), kEps).to(x.scalar_type());
}

void ImageNormImpl::initialise() {
  torch::nn::init::ones_(weight);
  torch::nn::init::zeros_(bias);
}

ImageEmbeddingImpl::ImageEmbeddingImpl(int64_t image_dim, int64_t width, int64_t positions) {
  const auto layers = register_module("proj", std::make_shared<torch::nn::Module>());
  norm1_ = layers->register_module("0", ImageNorm(image_dim));
  first_ = layers->register_module("1", Linear(image_dim, image_dim));
  second_ = layers->register_module("3", Linear(image_dim, width));
  norm2_ = layers->register_module("4", ImageNorm(width));
  if (positions > 0) emb_pos_ = register_parameter("emb_pos", at::empty({1, positions, image_dim}));
}

at::Tensor ImageEmbeddingImpl::forward(const at::Tensor& rows, at::ScalarType dtype) {
  at::Tensor x = rows.to(dtype);
  if (emb_pos_.defined()) x = (x.view({-1, emb_pos_.size(1), x.size(1)}) + emb_pos_.to(dtype)).flatten(0, 1);
  return norm2_(second_(at::gelu(first_(norm1_(x)))));
}

void ImageEmbeddingImpl::initialise() {
  norm1_->initialise();
  norm2_->initialise();
  first_->fill_xavier();
  second_->fill_xavier();
  if (emb_pos_.defined()) torch::nn::init::zeros_(emb_pos_);
}

}  // namespace moga
