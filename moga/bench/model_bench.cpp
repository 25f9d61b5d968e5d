// See model_bench.h.
#include "moga/bench/model_bench.h"

#include <ATen/ATen.h>

#include "moga/bench/random_model.h"
#include "moga/bench/shapes.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"

namespace moga {
namespace {

nlohmann::ordered_json sizes_of(const ModelBenchConfig& config) {
  nlohmann::ordered_json sizes = video_sizes(config.video);
  const ModelShape shape = config.model->shape();
  sizes.update({{"layers", shape.layers}, {"heads", shape.heads}, {"head_dim", shape.head_dim}, {"ffn", shape.ffn}});
  sizes.update(attention_sizes(config.model->attention()));
  return sizes;
}

BenchRow measure_kind(AttentionKind kind, ModelBenchConfig config, const BenchSetup& setup, Meter& meter,
                      bool streamed = false) {
  stop_if_interrupted();
  VisualAttentionConfig& moga = config.model->attention();
  moga.kind = kind;
  const at::NoGradGuard no_grad;
  const VideoModelPtr model = random_video_model(*config.model, setup.device, setup.dtype);
  even_routers(*model, config.video, setup.device, setup.dtype);
  if (streamed) stream_blocks(*model, setup.device);
  const VideoModelInput input = random_input(*config.model, {config.video}, setup.device, setup.dtype);
  log_info("measuring ", config.model->shape().layers, " blocks, ", name_of(kind),
           streamed ? ", weights streamed" : "");
  const Measurement measured = meter.measure([&] { model->forward(input, setup.dtype); });
  const double flop = forward_cost(config.model->shape(), input.layout, moga).total();
  const char* work = kind == AttentionKind::kFull ? "full" : streamed ? "MoGA, streamed weights" : "MoGA";
  return {work, name_of(moga.backend), "forward", measured, flop, {}};
}

}  // namespace

void ModelBenchConfig::validate() const {
  model->validate();
  video.validate();
}

BenchReport bench_model(const ModelBenchConfig& config, const BenchSetup& setup) {
  config.validate();
  Meter meter(setup.device, setup.meter);
  BenchReport report{"model", device_name(setup.device), dtype_name(setup.dtype), sizes_of(config), {}, {}, {}};
  report.rates = measure_rates(meter, setup.dtype);
  ModelBenchConfig own = config;
  const ModelShape shape = own.model->shape();
  const at::Tensor q = at::empty({0, shape.heads, shape.head_dim}, at::TensorOptions(setup.dtype).device(setup.device));
  own.model->attention().backend = setup.backend == AttentionBackend::kAuto ? default_backend(q) : setup.backend;
  if (config.full) report.rows.push_back(measure_kind(AttentionKind::kFull, own, setup, meter));
  report.rows.push_back(measure_kind(AttentionKind::kMoga, own, setup, meter));
  if (config.stream_weights)
    report.rows.push_back(measure_kind(AttentionKind::kMoga, own, setup, meter, /*streamed=*/true));
  if (!config.full) return report;
  report.ratio = "times faster than full";
  for (BenchRow& row : report.rows) row.ratio = report.rows.front().measured.seconds / row.measured.seconds;
  return report;
}

}  // namespace moga
