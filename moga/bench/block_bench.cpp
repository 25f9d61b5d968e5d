// See block_bench.h.
#include "moga/bench/block_bench.h"

#include <ATen/ATen.h>
#include <torch/autograd.h>

#include "moga/attention/cost.h"
#include "moga/bench/dense_attention.h"
#include "moga/bench/plain_block.h"
#include "moga/bench/random_model.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/core/random.h"
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
void differentiate(const BlockWork& work, const at::Tensor& y, const at::Tensor& balance) {
  std::vector<at::Tensor> outputs = {y}, grads = {work.grad}, leaves = {work.input.x};
  if (balance.defined()) {
    outputs.push_back(balance);
    grads.push_back(at::full_like(balance, work.config.moga.balance_weight));
  }
  for (const at::Tensor& parameter : work.block->parameters()) leaves.push_back(parameter);
  torch::autograd::grad(outputs, leaves, grads, /*retain_graph=*/std::nullopt, /*create_graph=*/false,
                        /*allow_unused=*/true);
}

nlohmann::ordered_json sizes_of(const BlockBenchConfig& config) {
  const VideoShape& video = config.video;
  const VisualAttentionConfig& moga = config.block.moga;
  return {{"tokens", video.tokens()},
          {"frames", video.frames},
          {"rows", video.rows},
          {"columns", video.columns},
          {"shots", video.shots()},
          {"text_tokens", config.text_tokens},
          {"heads", config.block.heads},
          {"head_dim", config.block.head_dim},
          {"ffn", config.block.ffn_dim},
          {"groups", moga.groups},
          {"windows", std::to_string(moga.windows.rows) + "x" + std::to_string(moga.windows.columns)},
          {"run_frames", moga.windows.run_frames},
          {"boundary_frames", moga.windows.boundary_frames}};
}

ForwardCost cost_of(const BlockBenchConfig& config, const VisualAttentionConfig& attention) {
  const ModelShape shape{.layers = 1,
                         .heads = config.block.heads,
                         .head_dim = config.block.head_dim,
                         .ffn = config.block.ffn_dim,
                         .text_tokens = config.text_tokens};
  return block_cost(shape, Layout{{config.video}}, attention);
}

using Pass = void (BlockWork::*)();

struct Variant {
  std::string work, backend;
  AttentionKind kind;
  Pass forward, forward_backward;
};

std::vector<BenchRow> measure_variant(const Variant& variant, const BlockBenchConfig& config, const BenchSetup& setup,
                                      Meter& meter) {
  BlockConfig block = config.block;
  block.moga.kind = variant.kind;
  const ForwardCost cost = cost_of(config, block.moga);
  BlockWork work = make_block_work(block, config.video, config.text_tokens, setup.device, setup.dtype);
  const auto measure = [&](Pass pass) {
    stop_if_interrupted();
    log_info("measuring ", variant.work, ", ", variant.backend);
    return meter.measure([&] { (work.*pass)(); });
  };
  std::vector<BenchRow> rows;
  rows.push_back({variant.work, variant.backend, "forward", measure(variant.forward), cost.total(), {}});
  if (setup.backward)
    rows.push_back({variant.work,
                    variant.backend,
                    "forward+backward",
                    measure(variant.forward_backward),
                    cost.with_backward(),
                    {}});
  return rows;
}

}  // namespace

const TransformerConfig& wan_config(const VideoModelConfig& model) {
  const auto* wan = dynamic_cast<const TransformerConfig*>(&model);
  check(wan, "this bench measures WanTransformer3DModel, not ", model.class_name());
  return *wan;
}

BlockConfig wan_block(const VideoModelConfig& model) {
  const TransformerConfig& wan = wan_config(model);
  return {.heads = wan.num_attention_heads,
          .head_dim = wan.attention_head_dim,
          .ffn_dim = wan.ffn_dim,
          .cross_attn_norm = wan.cross_attn_norm,
          .qk_norm = !wan.qk_norm.empty(),
          .eps = wan.eps,
          .moga = wan.moga};
}

void BlockBenchConfig::validate() const {
  video.validate();
  block.moga.validate();
  check(block.heads > 0 && block.head_dim > 0 && block.ffn_dim > 0 && text_tokens > 0, "a block of ", block.heads,
        " heads of size ", block.head_dim, ", feed-forward width ", block.ffn_dim, ", ", text_tokens, " text tokens");
}

BlockWork make_block_work(const BlockConfig& config, const VideoShape& video, int64_t text_tokens, c10::Device device,
                          c10::ScalarType dtype) {
  const Layout layout{{video}};
  BlockWork work;
  work.config = config;
  work.block = make_block(config, device, dtype);
  const int64_t width = config.width();
  work.text_lengths.assign(video.shots(), text_tokens);
  work.input.modulation = 0.2 * random_tensor({1, 6, width}, 0, device, wide(dtype));
  work.input.text = random_tensor({text_tokens * video.shots(), width}, 1, device, dtype);
  work.local.rotary = rotary_table(layout, config.head_dim, device, wide(dtype));
  work.local.segments = video_segments(layout);
  work.local.text_groups = text_groups(layout, work.text_lengths, device);
  work.global.groupings = static_groupings(layout, config.moga, device);
  work.input.x = random_tensor({layout.tokens(), width}, 2, device, dtype).requires_grad_();
  work.grad = random_tensor({layout.tokens(), width}, 3, device, dtype);
  return work;
}

void BlockWork::forward() {
  const at::NoGradGuard no_grad;
  block->forward(input, local, global);
}

void BlockWork::forward_backward() {
  const BlockOutput output = block->forward(input, local, global);
  differentiate(*this, output.x, output.balance_loss);
}

void BlockWork::plain_forward() {
  const at::NoGradGuard no_grad;
  plain_block(*this);
}

void BlockWork::plain_forward_backward() { differentiate(*this, plain_block(*this), {}); }

BenchReport bench_block(const BlockBenchConfig& config, const BenchSetup& setup) {
  config.validate();
  BlockBenchConfig own = config;
  const at::Tensor q =
      at::empty({0, own.block.heads, own.block.head_dim}, at::TensorOptions(setup.dtype).device(setup.device));
  own.block.moga.backend = setup.backend == AttentionBackend::kAuto ? default_backend(q) : setup.backend;
  const std::string backend = name_of(own.block.moga.backend);
  Meter meter(setup.device, setup.meter);
  BenchReport report{"block", device_name(setup.device), dtype_name(setup.dtype), sizes_of(config), {}, {}, {}};
  report.rates = measure_rates(meter, setup.dtype);
  std::vector<Variant> variants;
  if (config.full) {
    variants.push_back({"full, plain operations", dense_backend(q), AttentionKind::kFull, &BlockWork::plain_forward,
                        &BlockWork::plain_forward_backward});
    variants.push_back({"full", backend, AttentionKind::kFull, &BlockWork::forward, &BlockWork::forward_backward});
  }
  variants.push_back({"MoGA", backend, AttentionKind::kMoga, &BlockWork::forward, &BlockWork::forward_backward});
  for (const Variant& variant : variants)
    for (BenchRow& row : measure_variant(variant, own, setup, meter)) report.rows.push_back(std::move(row));
  if (!config.full) return report;
  report.ratio = "times faster than plain " + std::string(dense_backend(q));
  const size_t passes = report.rows.size() / variants.size();
  for (size_t i = 0; i < report.rows.size(); ++i)
    report.rows[i].ratio = report.rows[i % passes].measured.seconds / report.rows[i].measured.seconds;
  return report;
}

}  // namespace moga
