// See block_bench.h.
#include "moga/bench/block_bench.h"

#include <ATen/ATen.h>

#include "moga/attention/cost.h"
#include "moga/bench/block_work.h"
#include "moga/bench/dense_attention.h"
#include "moga/bench/shapes.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"

namespace moga {
namespace {

nlohmann::ordered_json sizes_of(const BlockBenchConfig& config) {
  nlohmann::ordered_json sizes = video_sizes(config.video);
  const ModelShape shape = config.model->shape();
  sizes.update(
      {{"text_tokens", shape.text_tokens}, {"heads", shape.heads}, {"head_dim", shape.head_dim}, {"ffn", shape.ffn}});
  sizes.update(attention_sizes(config.model->attention()));
  return sizes;
}

using WorkPass = void (BlockWork::*)();

struct Variant {
  std::string work, backend;
  AttentionKind kind;
  WorkPass forward, forward_backward;
};

std::vector<BenchRow> measure_variant(const Variant& variant, const BlockBenchConfig& config, const BenchSetup& setup,
                                      Meter& meter) {
  Cloned<VideoModelConfig> model = config.model;
  model->attention().kind = variant.kind;
  const ForwardCost cost = block_cost(model->shape(), Layout{{config.video}}, model->attention());
  const std::unique_ptr<BlockWork> work = make_block_work(*model, config.video, setup.device, setup.dtype);
  const auto measure = [&](WorkPass pass) {
    stop_if_interrupted();
    log_info("measuring ", variant.work, ", ", variant.backend);
    return meter.measure([&] { ((*work).*pass)(); });
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

void BlockBenchConfig::validate() const {
  model->validate();
  video.validate();
}

BenchReport bench_block(const BlockBenchConfig& config, const BenchSetup& setup) {
  config.validate();
  BlockBenchConfig own = config;
  const ModelShape shape = own.model->shape();
  const at::Tensor q = at::empty({0, shape.heads, shape.head_dim}, at::TensorOptions(setup.dtype).device(setup.device));
  AttentionBackend& chosen = own.model->attention().backend;
  chosen = setup.backend == AttentionBackend::kAuto ? default_backend(q) : setup.backend;
  const std::string backend = name_of(chosen);
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
