// See block.h.
#include "moga/model/wan/block.h"

#include <torch/nn/init.h>

#include <cmath>
#include <utility>

#include "moga/model/layers/rope.h"

namespace moga {

namespace {

Normed before_text(const Residual& residual, AffineNorm& norm, const Segments& segments) {
  if (norm) return norm(residual, segments);
  const at::Tensor x = gated_residual(residual.x, residual.branch, residual.gate, segments);
  return {x, x};
}

}  // namespace

ProjectionsImpl::ProjectionsImpl(const BlockConfig& config) : heads_(config.heads) {
  const int64_t width = config.width();
  q_ = register_module("q", Linear(width, width));
  k_ = register_module("k", Linear(width, width));
  v_ = register_module("v", Linear(width, width));
  o_ = register_module("o", Linear(width, width));
  if (config.qk_norm) {
    norm_q_ = register_module("norm_q", QkNorm(width, config.eps));
    norm_k_ = register_module("norm_k", QkNorm(width, config.eps));
  }
}

at::Tensor ProjectionsImpl::queries(const at::Tensor& x) { return positioned(q_(x), norm_q_, {}); }
at::Tensor ProjectionsImpl::keys(const at::Tensor& x) { return positioned(k_(x), norm_k_, {}); }
at::Tensor ProjectionsImpl::values(const at::Tensor& x) { return heads(v_(x)); }
at::Tensor ProjectionsImpl::output(const at::Tensor& attended) { return o_(attended.flatten(1)); }

ProjectionsImpl::Projected ProjectionsImpl::projected(const at::Tensor& x, const at::Tensor& rotary) {
  const auto products = linears(x, {q_, k_, v_});
  return {positioned(products[0], norm_q_, rotary), positioned(products[1], norm_k_, rotary), heads(products[2])};
}

at::Tensor ProjectionsImpl::positioned(const at::Tensor& product, QkNorm& norm, const at::Tensor& rotary) {
  if (norm) return norm(product, rotary, heads_);
  return rotary.defined() ? rotate(heads(product), rotary) : heads(product);
}

void ProjectionsImpl::initialise() {
  for (Linear* product : {&q_, &k_, &v_, &o_}) (*product)->fill_xavier();
  for (QkNorm* norm : {&norm_q_, &norm_k_})
    if (*norm) (*norm)->initialise();
}

SelfAttentionImpl::SelfAttentionImpl(const BlockConfig& config)
    : ProjectionsImpl(config),
      layer_(config.layer),
      config_(config.moga),
      full_config_(config.moga.with_kind(AttentionKind::kFull)) {
  if (config_.uses_router()) router_ = register_module("router", Router(config.width(), config_.groups, config_.gate));
}

BlockOutput SelfAttentionImpl::forward(const at::Tensor& x, const LocalContext& local, const GlobalContext& global,
                                       const BlockRun& run) {
  if (global.over_ranks) return forward_over_ranks(x, local, global, run);
  // Before routing, so that an observer can set the router.
  if (global.observer && !run.again) {
    const auto [q, k, v] = projected(x, local.rotary);
    global.observer(layer_, x, q, k, v);
  }
  BlockOutput result;
  std::optional<Routing> routing;
  if (router_ && !global.full_attention) {
    const Layout& layout = global.groupings.layout;
    routing = router_(x, layout);
    result.balance_loss = balance_loss(*routing, layout, config_.balance);
    result.group_histogram = group_histogram(*routing, layout);
  }
  const auto [q, k, v] = projected(routing ? routing->x : x, local.rotary);
  result.x = output(visual_attention(q, k, v, routing ? &*routing : nullptr, global.groupings,
                                     global.full_attention ? full_config_ : config_, run.memory));
  return result;
}

BlockOutput SelfAttentionImpl::forward_over_ranks(const at::Tensor& x, const LocalContext& local,
                                                  const GlobalContext& global, const BlockRun& run) {
  const SequenceAttention& attention = *global.over_ranks;
  BlockOutput result;
  std::optional<SliceRouting> routing;
  if (router_ && !global.full_attention) {
    routing = attention.route(router_->score(x));
    result.balance_loss = attention.balance(*routing, config_.balance);
    result.group_histogram = attention.histogram(*routing);
  }
  const auto [q, k, v] = projected(routing ? routing->scores.x : x, local.rotary);
  result.x = output(attention.forward(q, k, v, routing ? &*routing : nullptr,
                                      global.full_attention ? full_config_ : config_, run.memory));
  return result;
}

void SelfAttentionImpl::initialise_router() {
  if (!router_) return;
  torch::nn::init::normal_(router_->weight, 0.0, 0.02);
  torch::nn::init::zeros_(router_->bias);
}

CrossAttentionImpl::CrossAttentionImpl(const BlockConfig& config)
    : ProjectionsImpl(config), backend_(config.moga.backend) {
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
      self_attn_(register_module("self_attn", SelfAttention(config))),
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
  BlockOutput result = self_attn_(normed.y, local, global, run);
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
