// See vae_bench.h.
#include "moga/bench/vae_bench.h"

#include <ATen/ATen.h>

#include "moga/bench/random_model.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/model/registry.h"

namespace moga {
namespace {

CodecPtr make_codec(const VaeBenchConfig& config, const BenchSetup& setup) {
  const CodecPtr codec =
      config.folder.empty() ? config.codec->build() : load_codec(config.folder, setup.device, setup.dtype);
  codec->to(setup.device, setup.dtype);
  codec->store_channels_last();
  codec->set_convolution(config.convolution);
  codec->eval();
  return codec;
}

void check_clip(const VaeBenchConfig& config, const Strides& pixels) {
  check((config.frames - 1) % pixels.frames == 0, "--frames is ", config.frames, ", expected 1 + ", pixels.frames, "k");
  check(pixels.divide(config.width, config.height), "--size is ", config.width, "x", config.height, ", expected ",
        pixels.multiples());
}

}  // namespace

void VaeBenchConfig::validate() const {
  check(codec || !folder.empty(), "neither a codec nor a folder to measure");
  check(frames >= 1 && width >= 1 && height >= 1, "a clip of ", frames, " frames of ", width, "x", height);
}

BenchReport bench_vae(const VaeBenchConfig& config, const BenchSetup& setup) {
  config.validate();
  const at::NoGradGuard no_grad;
  Meter meter(setup.device, setup.meter);
  BenchReport report{"vae", device_name(setup.device), dtype_name(setup.dtype), {}, {}, {}, {}};
  report.rates = measure_rates(meter, setup.dtype);
  release_cached_memory(setup.device);
  const CodecPtr codec = make_codec(config, setup);
  const Strides pixels = codec->config().strides();
  check_clip(config, pixels);
  const std::string convolution = name_of(config.convolution);
  report.sizes = {{"frames", config.frames},    {"width", config.width},
                  {"height", config.height},    {"codec", codec->config().class_name()},
                  {"convolution", convolution}, {"weights", config.folder.empty() ? "random" : config.folder}};
  report.ratio = "ms a frame";
  const int64_t latent_count = pixels.latent_frames(config.frames);
  const int64_t rows = config.height / pixels.rows, columns = config.width / pixels.columns;
  const auto measure = [&](const char* pass, double flop, const std::function<void()>& work) {
    stop_if_interrupted();
    log_info("measuring ", pass);
    const double whole = flop * static_cast<double>(config.frames) / static_cast<double>(pixels.frames);
    BenchRow row{"VAE", convolution, pass, meter.measure(work), whole, {}};
    row.ratio = 1e3 * row.measured.seconds / static_cast<double>(config.frames);
    report.rows.push_back(row);
  };
  const double latents = static_cast<double>(rows * columns);
  if (config.only != VaeWay::kDecode) {  // one frame, repeated as a view: the clip itself takes no memory
    const at::Tensor clip = random_tensor({1, 3, 1, config.height, config.width}, 0, setup.device, at::kFloat)
                                .expand({1, 3, config.frames, config.height, config.width});
    measure("encode", codec->config().encode_flop(latents), [&] { codec->encode(clip); });
  }
  if (config.only != VaeWay::kEncode) {
    const at::Tensor latent =
        random_tensor({1, codec->config().latent_channels(), latent_count, rows, columns}, 1, setup.device, at::kFloat);
    measure("decode", codec->config().decode_flop(latents), [&] { codec->decode(latent, [](const at::Tensor&) {}); });
  }
  return report;
}

}  // namespace moga
