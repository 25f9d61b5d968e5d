// See plain_block.h.
#include "moga/bench/plain_block.h"

#include <ATen/ATen.h>

#include "moga/bench/dense_attention.h"
#include "moga/core/check.h"

namespace moga {
namespace {

class PlainBlock {
 public:
  explicit PlainBlock(const WanBlockWork& work)
      : parameters_(work.block->named_parameters()), modules_(work.block->named_modules()), config_(work.config) {}

  at::Tensor forward(const WanBlockWork& work) {
    const VideoShape& video = work.global.groupings.layout.videos.front();
    const auto e = (parameters_["modulation"] + work.input.modulation).squeeze(0).unbind(0);  // 6 × [C]
    at::Tensor x = work.input.x;                                                              // [N, C]
    x = gated(x, self_attention(modulated(x, e[0], e[1]), work.local.rotary), e[2]);
    x = x + text_attention(text_norm(x), work.input.text, video, work.text_lengths);
    return gated(x, feed_forward(modulated(x, e[3], e[4])), e[5]);
  }

 private:
  // LayerNorm(x) (1 + scale) + shift
  at::Tensor modulated(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) {
    return (at::layer_norm(x.to(at::kFloat), {x.size(1)}, {}, {}, config_.eps) * (1 + scale) + shift)
        .to(x.scalar_type());
  }

  at::Tensor gated(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& gate) {
    return (x.to(at::kFloat) + branch.to(at::kFloat) * gate).to(x.scalar_type());
  }

  at::Tensor product(const std::string& name, const at::Tensor& x) {
    return modules_[name]->as<LinearImpl>()->forward(x);
  }

  // [n, C] → [n, H, D], normalised over all heads if the block has such a norm
  at::Tensor projected(const std::string& attention, const std::string& part, const at::Tensor& x) {
    at::Tensor y = product(attention + "." + part, x);
    const at::Tensor* norm = parameters_.find(attention + ".norm_" + part + ".weight");
    if (norm) {
      const at::Tensor wide = y.to(at::kFloat);
      y = (wide * at::rsqrt(wide.square().mean(-1, true) + config_.eps)).to(y.scalar_type()) *
          norm->to(y.scalar_type());
    }
    return y.view({y.size(0), config_.heads, config_.head_dim});
  }

  at::Tensor rotated(const at::Tensor& x, const at::Tensor& rotary) {
    const at::Tensor pairs = at::view_as_complex(x.to(at::kFloat).unflatten(-1, {-1, 2}));  // [N, H, D/2]
    return at::view_as_real(pairs * rotary.unsqueeze(1)).flatten(-2).to(x.scalar_type());
  }

  at::Tensor self_attention(const at::Tensor& x, const at::Tensor& rotary) {
    const at::Tensor q = rotated(projected("self_attn", "q", x), rotary);
    const at::Tensor k = rotated(projected("self_attn", "k", x), rotary);
    return product("self_attn.o", dense_attention(q, k, projected("self_attn", "v", x)).flatten(1));
  }

  at::Tensor text_norm(const at::Tensor& x) {
    if (!config_.cross_attn_norm) return x;
    return at::layer_norm(x.to(at::kFloat), {x.size(1)}, parameters_["norm3.weight"].to(at::kFloat),
                          parameters_["norm3.bias"].to(at::kFloat), config_.eps)
        .to(x.scalar_type());
  }

  at::Tensor text_attention(const at::Tensor& x, const at::Tensor& text, const VideoShape& video,
                            const std::vector<int64_t>& text_lengths) {
    const at::Tensor q = projected("cross_attn", "q", x);
    const at::Tensor k = projected("cross_attn", "k", text), v = projected("cross_attn", "v", text);
    std::vector<at::Tensor> shots;
    int64_t text_begin = 0;
    for (int64_t shot = 0; shot < video.shots(); ++shot) {
      const int64_t begin = video.begin_of_shot(shot) * video.frame_tokens();
      const int64_t end = video.begin_of_shot(shot + 1) * video.frame_tokens();
      const int64_t length = text_lengths.at(shot);
      shots.push_back(
          dense_attention(q.slice(0, begin, end), k.narrow(0, text_begin, length), v.narrow(0, text_begin, length)));
      text_begin += length;
    }
    return product("cross_attn.o", at::cat(shots).flatten(1));
  }

  at::Tensor feed_forward(const at::Tensor& x) { return product("ffn.2", at::gelu(product("ffn.0", x), "tanh")); }

  torch::OrderedDict<std::string, at::Tensor> parameters_;
  torch::OrderedDict<std::string, std::shared_ptr<torch::nn::Module>> modules_;
  const BlockConfig& config_;
};

}  // namespace

at::Tensor plain_block(const WanBlockWork& work) {
  check(work.global.groupings.layout.videos.size() == 1, "the plain block takes one video, got ",
        work.global.groupings.layout.videos.size());
  return PlainBlock(work).forward(work);
}

}  // namespace moga
