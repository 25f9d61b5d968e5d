// See self_attention.h.
#include "moga/model/layers/self_attention.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>

#include <optional>

namespace moga {
namespace {

// Whatever scales the output: with Gate::kNone too. The probability of a token's group is its largest.
at::Tensor gate_sum(const TokenScores& scores) { return scores.probabilities.detach().amax(1).sum(); }

}  // namespace

SelfAttentionImpl::SelfAttentionImpl(const SelfAttentionConfig& config)
    : ProjectionsImpl(config.projections),
      layer_(config.layer),
      config_(config.moga),
      full_config_(config.moga.with_kind(AttentionKind::kFull)) {
  if (config_.uses_router())
    router_ = register_module("router", Router(config.projections.width, config_.groups, config_.gate));
}

BlockOutput SelfAttentionImpl::forward(const at::Tensor& x, const at::Tensor& rotary, const GlobalContext& global,
                                       const BlockRun& run) {
  if (global.over_ranks) return forward_over_ranks(x, rotary, global, run);
  // Before routing, so that an observer can set the router.
  if (global.observer && !run.again) {
    const auto [q, k, v] = projected(x, rotary);
    global.observer(layer_, x, q, k, v);
  }
  BlockOutput result;
  std::optional<Routing> routing;
  if (router_ && !global.full_attention) {
    const Layout& layout = global.groupings.layout;
    routing = router_(x, layout);
    result.balance_loss = balance_loss(*routing, layout, config_.balance);
    result.group_histogram = group_histogram(*routing, layout);
    result.gate_sum = gate_sum(*routing);
  }
  const auto [q, k, v] = projected(routing ? routing->x : x, rotary);
  result.x = output(visual_attention(q, k, v, routing ? &*routing : nullptr, global.groupings,
                                     global.full_attention ? full_config_ : config_, run.memory));
  return result;
}

BlockOutput SelfAttentionImpl::forward_over_ranks(const at::Tensor& x, const at::Tensor& rotary,
                                                  const GlobalContext& global, const BlockRun& run) {
  const SequenceAttention& attention = *global.over_ranks;
  BlockOutput result;
  std::optional<SliceRouting> routing;
  if (router_ && !global.full_attention) {
    routing = attention.route(router_->score(x));
    result.balance_loss = attention.balance(*routing, config_.balance);
    result.group_histogram = attention.histogram(*routing);
    result.gate_sum = gate_sum(routing->scores);
  }
  const auto [q, k, v] = projected(routing ? routing->scores.x : x, rotary);
  result.x = output(attention.forward(q, k, v, routing ? &*routing : nullptr,
                                      global.full_attention ? full_config_ : config_, run.memory));
  return result;
}

void SelfAttentionImpl::initialise_router() {
  if (!router_) return;
  torch::nn::init::normal_(router_->weight, 0.0, 0.02);
  torch::nn::init::zeros_(router_->bias);
}

}  // namespace moga
