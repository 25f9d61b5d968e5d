// See block.h.
#include "moga/model/mmdit/block.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>

#include <cmath>

#include "moga/attention/attend.h"

namespace moga {
namespace {

Mlp feed_forward(const MmditBlockConfig& config) {
  return Mlp(config.width(), config.ffn_dim, config.width(), Activation::kGeluTanh);
}

void initialise_feed_forward(Mlp& ffn) {
  ffn->first->fill_xavier();
  ffn->second->fill_xavier();
}

void initialise_modulation(at::Tensor& modulation) {
  torch::nn::init::normal_(modulation, 0.0, 1.0 / std::sqrt(modulation.size(2)));
}

// n vectors [B, C] of a stream.
std::vector<at::Tensor> vectors_of(const at::Tensor& own, const at::Tensor& timestep) {
  return (own.to(timestep.scalar_type()) + timestep.narrow(1, 0, own.size(1))).unbind(1);
}

}  // namespace

TextStreamImpl::TextStreamImpl(const MmditBlockConfig& config) {
  const int64_t vectors = config.last ? kLastTextVectors : kTextVectors;
  modulation = register_parameter("modulation", at::empty({1, vectors, config.width()}));
  ProjectionsConfig projections = config.projections();
  projections.queries = !config.last;
  cross_attn = register_module("cross_attn", Projections(projections));
  if (!config.last) ffn = register_module("ffn", feed_forward(config));
}

void TextStreamImpl::initialise() {
  initialise_modulation(modulation);
  cross_attn->initialise();
  if (ffn) initialise_feed_forward(ffn);
}

MmditBlockImpl::MmditBlockImpl(const MmditBlockConfig& config)
    : eps_(config.eps),
      last_(config.last),
      backend_(config.moga.backend),
      modulation_(register_parameter("modulation", at::empty({1, kVideoVectors, config.width()}))),
      self_attn_(register_module("self_attn",
                                 SelfAttention(SelfAttentionConfig{config.projections(), config.layer, config.moga}))),
      cross_attn_(register_module("cross_attn", Projections(config.projections()))),
      ffn_(register_module("ffn", feed_forward(config))),
      text_(register_module("text", TextStream(config))) {}

VideoAndText MmditBlockImpl::attend_jointly(const VideoAndText& y, const MmditContext& context, const BlockRun& run) {
  const JointGroups& joint = context.joint;
  const auto video = cross_attn_->projected(y.video, context.rotary);
  const auto text = text_->cross_attn->projected(y.text, {});
  const at::Tensor k = join_rows({video.k, text.k}, joint), v = join_rows({video.v, text.v}, joint);
  if (last_) return {cross_attn_->output(attend(video.q, k, v, joint.video, backend_, run.memory).output), {}};
  const at::Tensor q = join_rows({video.q, text.q}, joint);
  const VideoAndText attended = part_rows(attend(q, k, v, joint.both, backend_, run.memory).output, joint);
  return {cross_attn_->output(attended.video), text_->cross_attn->output(attended.text)};
}

MmditBlockOutput MmditBlockImpl::forward(const MmditBlockInput& input, const MmditContext& context,
                                         const BlockRun& run) {
  const Segments &segments = context.segments, &text_segments = context.text_segments;
  const auto e = vectors_of(modulation_, input.modulation);
  const auto t = vectors_of(text_->modulation, input.text_modulation);

  Normed x = residual_norm({.x = input.x}, 1 + e[1], e[0], segments, eps_);
  BlockOutput result = self_attn_(x.y, context.rotary, context.global, run);
  x = residual_norm({.x = x.x, .branch = result.x, .gate = e[2]}, 1 + e[4], e[3], segments, eps_);
  Normed text = residual_norm({.x = input.text}, 1 + t[1], t[0], text_segments, eps_);
  const VideoAndText joint = attend_jointly({x.y, text.y}, context, run);
  x = residual_norm({.x = x.x, .branch = joint.video, .gate = e[5]}, 1 + e[7], e[6], segments, eps_);
  result.x = gated_residual(x.x, ffn_(x.y), e[8], segments);
  if (last_) return {result, {}};
  text = residual_norm({.x = text.x, .branch = joint.text, .gate = t[2]}, 1 + t[4], t[3], text_segments, eps_);
  return {result, gated_residual(text.x, text_->ffn(text.y), t[5], text_segments)};
}

void MmditBlockImpl::initialise() {
  initialise_modulation(modulation_);
  self_attn_->initialise();
  self_attn_->initialise_router();
  cross_attn_->initialise();
  initialise_feed_forward(ffn_);
  text_->initialise();
}

void MmditBlockImpl::initialise_router() { self_attn_->initialise_router(); }

}  // namespace moga
