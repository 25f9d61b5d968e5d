// See text_encoder_block.h.
#include "moga/model/text/text_encoder_block.h"

#include <torch/nn/init.h>
#include <torch/nn/modules/container/modulelist.h>

#include <cmath>
#include <limits>

#include "moga/model/text/text_encoder.h"

namespace moga {
namespace {

double inverse_root(int64_t value) { return 1.0 / std::sqrt(static_cast<double>(value)); }

// Position bias where the key is a text token, and a very low score elsewhere. It is finite, so that a query without
// any key gets a number rather than NaN (its row is zeroed at the end).
at::Tensor masked_bias(const at::Tensor& bias, const at::Tensor& known, at::ScalarType dtype) {
  const double lowest = dtype == at::kHalf ? -65504.0 : -std::numeric_limits<float>::max() / 2;
  return at::where(known, bias.to(dtype).unsqueeze(0), lowest);
}

}  // namespace

TextTableImpl::TextTableImpl(int64_t rows, int64_t columns) : ProductWeight({rows, columns}) {}

at::Tensor TextTableImpl::product(const at::Tensor& x) const { return at::linear(x, weight_in(x.scalar_type())); }

at::Tensor TextTableImpl::rows(const at::Tensor& indices) const {
  return at::embedding(weight_in(in_8_bits() ? at::kFloat : weight.scalar_type()), indices);
}

void TextTableImpl::fill_normal(double deviation) { torch::nn::init::normal_(weight, 0.0, deviation); }

TextNormImpl::TextNormImpl(const TextEncoderConfig& config)
    : weight_(register_parameter("weight", at::empty({config.d_model}))), eps_(config.layer_norm_epsilon) {}

at::Tensor TextNormImpl::forward(const at::Tensor& x) {
  return at::rms_norm(x, weight_.sizes(), weight_.to(x.scalar_type()), eps_);
}

void TextNormImpl::initialise() { torch::nn::init::ones_(weight_); }

at::Tensor distance_buckets(int64_t length, int64_t buckets, int64_t max_distance, at::Device device) {
  const int64_t half = buckets / 2, exact = half / 2;
  const at::Tensor distance = at::arange(1 - length, length, at::TensorOptions(at::kLong).device(device));
  const at::Tensor size = distance.abs();
  // In float32 and in this order, as in the reference, so that a distance at the edge of a bucket falls on the same
  // side.
  const at::Tensor growth = (size.clamp_min(exact).to(at::kFloat) / exact).log() /
                            std::log(static_cast<double>(max_distance) / static_cast<double>(exact)) * (half - exact);
  const at::Tensor far = (growth.to(at::kLong) + exact).clamp_max(half - 1);
  return at::where(size < exact, size, far) + (distance > 0).to(at::kLong) * half;
}

TextAttentionImpl::TextAttentionImpl(const TextEncoderConfig& config) : heads_(config.num_heads) {
  const int64_t inner = config.num_heads * config.d_kv;
  q_ = register_module("q", TextTable(inner, config.d_model));
  k_ = register_module("k", TextTable(inner, config.d_model));
  v_ = register_module("v", TextTable(inner, config.d_model));
  o_ = register_module("o", TextTable(config.d_model, inner));
}

at::Tensor TextAttentionImpl::forward(const at::Tensor& x, const at::Tensor& bias) {
  const auto by_head = [&](const TextTable& table) {
    return table->product(x).unflatten(-1, {heads_, -1}).transpose(1, 2);  // [B, H, L, D]
  };
  const at::Tensor out = at::scaled_dot_product_attention(by_head(q_), by_head(k_), by_head(v_), bias,
                                                          /*dropout_p=*/0.0, /*is_causal=*/false, /*scale=*/1.0);
  return o_->product(out.transpose(1, 2).flatten(2));
}

void TextAttentionImpl::initialise() {
  const int64_t inner = q_->weight.size(0), width = q_->weight.size(1);
  q_->fill_normal(inverse_root(width * (inner / heads_)));
  k_->fill_normal(inverse_root(width));
  v_->fill_normal(inverse_root(width));
  o_->fill_normal(inverse_root(inner));
}

TextFeedForwardImpl::TextFeedForwardImpl(const TextEncoderConfig& config)
    : gate_(TextTable(config.d_ff, config.d_model)) {
  register_module("gate", torch::nn::ModuleList(gate_));  // "gate.0"; the reference has the activation next to it
  fc1_ = register_module("fc1", TextTable(config.d_ff, config.d_model));
  fc2_ = register_module("fc2", TextTable(config.d_model, config.d_ff));
}

at::Tensor TextFeedForwardImpl::forward(const at::Tensor& x) {
  return fc2_->product(fc1_->product(x) * at::gelu(gate_->product(x), "tanh"));
}

void TextFeedForwardImpl::initialise() {
  gate_->fill_normal(inverse_root(gate_->weight.size(1)));
  fc1_->fill_normal(inverse_root(fc1_->weight.size(1)));
  fc2_->fill_normal(inverse_root(fc2_->weight.size(1)));
}

PositionBiasImpl::PositionBiasImpl(const TextEncoderConfig& config)
    : deviation_(inverse_root(config.d_model)),
      embedding_(register_module("embedding", TextTable(config.relative_attention_num_buckets, config.num_heads))) {}

at::Tensor PositionBiasImpl::forward(const at::Tensor& buckets) {
  const int64_t length = (buckets.size(0) + 1) / 2;
  const at::Tensor by_distance = embedding_->rows(buckets).t();  // [H, 2L - 1]
  // Row i starts at distance -i, which is column L-1-i: a window that slides backwards over the distances.
  return by_distance.unfold(1, length, 1).flip(1);
}

// A small encoder that starts with zero bias sees a bag of words and learns word order slowly. Heads are therefore
// initialised to attend nearby: half of them backward, half forward, with a score that falls by 1, 1/2, 1/4, … per text
// token, and by 2 more per token in the other direction.
void PositionBiasImpl::initialise() {
  constexpr double kOtherSide = 2.0;
  embedding_->fill_normal(deviation_);
  const int64_t buckets = embedding_->weight.size(0), heads = embedding_->weight.size(1), half = buckets / 2;
  const at::Tensor bucket = at::arange(buckets, embedding_->weight.options().dtype(at::kFloat));
  const at::Tensor distance = bucket.remainder(half), ahead = (bucket >= half).to(at::kFloat);
  for (int64_t head = 0; head < heads; ++head) {
    const at::Tensor other = head % 2 == 0 ? ahead : 1 - ahead;
    const double slope = std::pow(0.5, static_cast<double>(head / 2));
    embedding_->weight.select(1, head).sub_(slope * distance + kOtherSide * other * (distance > 0));
  }
}

TextEncoderBlockImpl::TextEncoderBlockImpl(const TextEncoderConfig& config)
    : norm1_(register_module("norm1", TextNorm(config))),
      norm2_(register_module("norm2", TextNorm(config))),
      attn_(register_module("attn", TextAttention(config))),
      ffn_(register_module("ffn", TextFeedForward(config))),
      pos_embedding_(register_module("pos_embedding", PositionBias(config))) {}

at::Tensor TextEncoderBlockImpl::forward(const at::Tensor& x, const TextPositions& positions, at::ScalarType dtype) {
  const at::Tensor bias = masked_bias(pos_embedding_(positions.buckets), positions.known, dtype);  // [B, H, L, L]
  const at::Tensor attended = x + attn_(norm1_(x).to(dtype), bias);
  return attended + ffn_(norm2_(attended).to(dtype));
}

void TextEncoderBlockImpl::initialise() {
  norm1_->initialise();
  norm2_->initialise();
  attn_->initialise();
  ffn_->initialise();
  pos_embedding_->initialise();
}

}  // namespace moga
