// See model_bench.h.
#include "moga/bench/model_bench.h"

#include <ATen/ATen.h>

#include "moga/bench/random_model.h"
#include "moga/bench/shapes.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/model/denoiser.h"
#include "moga/model/layers/product_weight.h"
#include "moga/model/layers/scaled_weights.h"

namespace moga {
namespace {

constexpr double kGuidance = 5, kTimestep = 500;  // of random_input, for which the routers are evened

nlohmann::ordered_json sizes_of(const ModelBenchConfig& config) {
  nlohmann::ordered_json sizes = video_sizes(config.video);
  const ModelShape shape = config.model->shape();
  sizes.update({{"guided", config.guided},
                {"layers", shape.layers},
                {"heads", shape.heads},
                {"head_dim", shape.head_dim},
                {"ffn", shape.ffn}});
  sizes.update(attention_sizes(config.model->attention()));
  return sizes;
}

// What a row measures.
struct Way {
  AttentionKind kind = AttentionKind::kMoga;
  bool streamed = false;
  std::optional<EightBitProducts> eight_bit = {};
};

std::string name_of_row(const Way& way, const Mesh& mesh) {
  std::string name = way.kind == AttentionKind::kFull ? "full" : "MoGA";
  if (way.streamed) name += ", streamed weights";
  if (way.eight_bit) name += *way.eight_bit == EightBitProducts::kMultiply ? ", 8-bit products" : ", 8-bit weights";
  if (mesh.world().size() == 1) return name;
  return name + ", guidance " + std::to_string(mesh.guidance().size()) + " x sequence " +
         std::to_string(mesh.sequence().size());
}

BenchRow measure_way(const Way& way, ModelBenchConfig config, const BenchSetup& setup, Meter& meter) {
  stop_if_interrupted();
  VisualAttentionConfig& moga = config.model->attention();
  moga.kind = way.kind;
  const at::NoGradGuard no_grad;
  const VideoModelPtr model = random_video_model(*config.model, setup.device, setup.dtype);
  even_routers(*model, config.video, setup.device, setup.dtype);
  share_routers(*model, setup.mesh.world());
  if (way.eight_bit) quantise_weights(*model);
  if (way.eight_bit == EightBitProducts::kMultiply) use_8_bit_products(*model);
  if (way.streamed) stream_blocks(*model, setup.device);
  const VideoModelInput input = random_input(*config.model, {config.video}, setup.device, setup.dtype);
  const int64_t halves = config.guided ? 2 : 1;
  const Denoiser denoiser(*model,
                          {.videos = input.layout.videos,
                           .text = random_text(*config.model, halves * input.layout.shots(), setup.device, setup.dtype),
                           .condition = input.condition,
                           .image = input.image,
                           .guidance = config.guided ? kGuidance : 1,
                           .dtype = setup.dtype,
                           .mesh = setup.mesh});
  const at::Tensor x = PackedLatents::pack(input.latents).values;
  log_info("measuring ", config.model->shape().layers, " blocks, ", name_of_row(way, setup.mesh));
  const Measurement measured = meter.measure([&] { denoiser.evaluate(x, {.timestep = kTimestep}); });
  const double flop = forward_cost(config.model->shape(), input.layout, moga).total() * static_cast<double>(halves) /
                      static_cast<double>(setup.mesh.world().size());
  return {name_of_row(way, setup.mesh), name_of(moga.backend), "forward", measured, flop, {}};
}

}  // namespace

void ModelBenchConfig::validate() const {
  model->validate();
  video.validate();
}

BenchReport bench_model(const ModelBenchConfig& config, const BenchSetup& setup) {
  config.validate();
  Meter meter(setup.device, setup.meter, setup.mesh.world());
  BenchReport report{"model", device_name(setup.device), dtype_name(setup.dtype), sizes_of(config), {}, {}, {}};
  report.rates = measure_rates(meter, setup.dtype);
  ModelBenchConfig own = config;
  const ModelShape shape = own.model->shape();
  const at::Tensor q = at::empty({0, shape.heads, shape.head_dim}, at::TensorOptions(setup.dtype).device(setup.device));
  own.model->attention().backend = setup.backend == AttentionBackend::kAuto ? default_backend(q) : setup.backend;
  std::vector<Way> ways = {{}};
  if (config.full) ways.insert(ways.begin(), {.kind = AttentionKind::kFull});
  if (config.stream_weights) ways.push_back({.streamed = true});
  if (config.eight_bit)
    for (const EightBitProducts products : {EightBitProducts::kDequantise, EightBitProducts::kMultiply})
      ways.push_back({.eight_bit = products});
  for (const Way& way : ways) report.rows.push_back(measure_way(way, own, setup, meter));
  if (!config.full) return report;
  report.ratio = "times faster than full";
  for (BenchRow& row : report.rows) row.ratio = report.rows.front().measured.seconds / row.measured.seconds;
  return report;
}

}  // namespace moga
