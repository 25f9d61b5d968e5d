// See block.h.
#include "moga/model/wan/block.h"

#include <torch/nn/init.h>

#include <cmath>
#include <utility>

namespace moga {

namespace {

Normed before_text(const Residual& residual, AffineNorm& norm, const Segments& segments) {
  if (norm) return norm(residual, segments);
  const at::Tensor x = gated_residual(residual.x, residual.branch, residual.gate, segments);
  return {x, x};
}

}  // namespace

CrossAttentionImpl::CrossAttentionImpl(const BlockConfig& config)
    : ProjectionsImpl(config.projections()), backend_(config.moga.backend) {
  if (!config.image) return;
  k_img_ = register_module("k_img", Linear(config.width(), config.width()));
  v_img_ = register_module("v_img", Linear(config.width(), config.width()));
  if (config.qk_norm) norm_k_img_ = register_module("norm_k_img", QkNorm(config.width(), config.eps));
}

// Without a memory: its output is as wide as x, and it is one percent of the block's forward pass.
at::Tensor CrossAttentionImpl::forward(const at::Tensor& x, const at::Tensor& text, const at::Tensor& image,
                                       const LocalContext& local) {
  const at::Tensor q = queries(x);
  at::Tensor attended = attend(q, keys(text), values(text), local.text_groups, backend_).output;
  if (image.defined()) {
    const at::Tensor k = positioned(k_img_(image), norm_k_img_, {}), v = heads(v_img_(image));
    attended = attended + attend(q, k, v, local.image_groups, backend_).output;
  }
  return output(attended);
}

void CrossAttentionImpl::initialise() {
  ProjectionsImpl::initialise();
  if (!k_img_) return;
  k_img_->fill_xavier();
  v_img_->fill_xavier();
  if (norm_k_img_) norm_k_img_->initialise();
}

BlockImpl::BlockImpl(const BlockConfig& config)
    : eps_(config.eps),
      modulation_(register_parameter("modulation", at::empty({1, 6, config.width()}))),
      self_attn_(register_module("self_attn",
                                 SelfAttention(SelfAttentionConfig{config.projections(), config.layer, config.moga}))),
      cross_attn_(register_module("cross_attn", CrossAttention(config))),
      ffn_(register_module("ffn", Mlp(config.width(), config.ffn_dim, config.width(), Activation::kGeluTanh))) {
  if (config.cross_attn_norm) norm3_ = register_module("norm3", AffineNorm(config.width(), config.eps));
}

BlockOutput BlockImpl::forward(const BlockInput& input, const LocalContext& local, const GlobalContext& global,
                               const BlockRun& run) {
  const Segments& segments = local.segments;
  const auto e = (modulation_.to(input.modulation.scalar_type()) + input.modulation).unbind(1);  // 6 × [V, C]
  // One node that sums the gradients from keys and values: the text's gradient is then one addend per block, whether or
  // not the block is recomputed, and its bits are the same.
  const at::Tensor text = input.text.alias(), image = input.image.defined() ? input.image.alias() : at::Tensor();

  Normed normed = residual_norm({.x = input.x}, 1 + e[1], e[0], segments, eps_);
  BlockOutput result = self_attn_(normed.y, local.rotary, global, run);
  normed = before_text({.x = normed.x, .branch = std::exchange(result.x, {}), .gate = e[2]}, norm3_, segments);
  normed = residual_norm({.x = normed.x, .branch = cross_attn_(normed.y, text, image, local)}, 1 + e[4], e[3], segments,
                         eps_);
  result.x = gated_residual(normed.x, ffn_(normed.y), e[5], segments);
  return result;
}

void BlockImpl::initialise() {
  torch::nn::init::normal_(modulation_, 0.0, 1.0 / std::sqrt(modulation_.size(2)));
  self_attn_->initialise();
  self_attn_->initialise_router();
  cross_attn_->initialise();
  ffn_->first->fill_xavier();
  ffn_->second->fill_xavier();
  if (norm3_) norm3_->initialise();
}

void BlockImpl::initialise_router() { self_attn_->initialise_router(); }

}  // namespace moga
