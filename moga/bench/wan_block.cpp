// See wan_block.h.
#include "moga/bench/wan_block.h"

#include <ATen/ATen.h>
#include <torch/autograd.h>

#include "moga/attention/router_fit.h"
#include "moga/bench/plain_block.h"
#include "moga/bench/random_model.h"
#include "moga/core/device.h"
#include "moga/model/layers/kept_precision.h"
#include "moga/model/layers/rope.h"
#include "moga/model/wan/transformer.h"

namespace moga {
namespace {

Block make_block(const BlockConfig& config, c10::Device device, c10::ScalarType dtype) {
  Block block(config);
  for (const auto& item : block->named_parameters()) {
    const c10::ScalarType kept = kept_dtype(item.key(), dtype);
    item.value().set_data(at::empty(item.value().sizes(), at::TensorOptions(kept).device(device)));
  }
  block->initialise();
  return block;
}

// Gradients of all leaves are computed and released, as in a train step after their use.
void differentiate(const WanBlockWork& work, const at::Tensor& y, const at::Tensor& balance) {
  std::vector<at::Tensor> outputs = {y}, grads = {work.grad}, leaves = {work.input.x};
  if (balance.defined()) {
    outputs.push_back(balance);
    grads.push_back(at::full_like(balance, work.config.moga.balance_weight));
  }
  for (const at::Tensor& parameter : work.block->parameters()) leaves.push_back(parameter);
  torch::autograd::grad(outputs, leaves, grads, /*retain_graph=*/std::nullopt, /*create_graph=*/false,
                        /*allow_unused=*/true);
}

}  // namespace

WanBlockWork::WanBlockWork(const BlockConfig& block_config, const VideoShape& video, int64_t text_tokens,
                           c10::Device device, c10::ScalarType dtype)
    : config(block_config), block(make_block(block_config, device, dtype)) {
  const Layout layout{{video}};
  const int64_t width = config.width();
  text_lengths.assign(video.shots(), text_tokens);
  input.modulation = 0.2 * random_tensor({1, 6, width}, 0, device, wide(dtype));
  input.text = random_tensor({text_tokens * video.shots(), width}, 1, device, dtype);
  local.rotary = rotary_table(layout, config.head_dim, device, wide(dtype));
  local.segments = video_segments(layout);
  local.text_groups = text_groups(layout, text_lengths, device);
  global.groupings = static_groupings(layout, config.moga, device);
  input.x = random_tensor({layout.tokens(), width}, 2, device, dtype).requires_grad_();
  grad = random_tensor({layout.tokens(), width}, 3, device, dtype);
  if (config.moga.uses_router()) even_router();
}

void WanBlockWork::even_router() {
  const at::NoGradGuard no_grad;
  const auto parameters = block->named_parameters();
  const at::Tensor weight = parameters["self_attn.router.weight"], bias = parameters["self_attn.router.bias"];
  GlobalContext observed = global;
  observed.observer = [&](int64_t, const at::Tensor& x, const at::Tensor&, const at::Tensor&, const at::Tensor&) {
    bias.copy_(balance_offsets(x.to(weight.scalar_type()).matmul(weight.t())));
  };
  block->forward(input, local, observed);
}

void WanBlockWork::forward() {
  const at::NoGradGuard no_grad;
  block->forward(input, local, global);
}

void WanBlockWork::forward_backward() {
  const BlockOutput output = block->forward(input, local, global);
  differentiate(*this, output.x, output.balance_loss);
}

void WanBlockWork::plain_forward() {
  const at::NoGradGuard no_grad;
  plain_block(*this);
}

void WanBlockWork::plain_forward_backward() { differentiate(*this, plain_block(*this), {}); }

std::unique_ptr<BlockWork> make_wan_block_work(const VideoModelConfig& model, const VideoShape& video,
                                               c10::Device device, c10::ScalarType dtype) {
  const auto& wan = dynamic_cast<const TransformerConfig&>(model);
  const BlockConfig block{.heads = wan.num_attention_heads,
                          .head_dim = wan.attention_head_dim,
                          .ffn_dim = wan.ffn_dim,
                          .cross_attn_norm = wan.cross_attn_norm,
                          .qk_norm = !wan.qk_norm.empty(),
                          .eps = wan.eps,
                          .moga = wan.moga};
  return std::make_unique<WanBlockWork>(block, video, wan.text_len, device, dtype);
}

}  // namespace moga
