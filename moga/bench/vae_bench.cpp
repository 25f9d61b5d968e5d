// See vae_bench.h.
#include "moga/bench/vae_bench.h"

#include <ATen/ATen.h>

#include "moga/bench/random_model.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"

namespace moga {
namespace {

// 2 · taps · channels in · channels out, a pixel; a residual block's two convolutions and its shortcut.
double convolution(double taps, double in, double out) { return 2 * taps * in * out; }
double residual(double in, double out) {
  return convolution(27, in, out) + convolution(27, out, out) + (in == out ? 0 : convolution(1, in, out));
}

// Two residual blocks and attention at the lowest resolution, one frame of `pixels`.
double middle(double channels, double pixels) {
  return pixels * (2 * residual(channels, channels) + convolution(1, channels, 4 * channels) + 4 * pixels * channels);
}

// Frames and pixels of a level for one latent frame: 8 times as large and four frames at level 0.
struct Level {
  double frames, pixels;
};
std::vector<Level> levels_of(const VaeConfig& config, double latents) {
  std::vector<Level> levels = {{1, latents}};  // from the lowest up
  for (size_t level = 3; level-- > 0;)
    levels.push_back({levels.back().frames * (config.temperal_downsample[level] ? 2 : 1), 4 * levels.back().pixels});
  return {levels.rbegin(), levels.rend()};
}

// Wan2.1's decoder and encoder see the same levels; the decoder has a residual block more in each.
double level_flop(const VaeConfig& config, double latents, bool decoder) {
  const std::vector<Level> levels = levels_of(config, latents);
  const double base = static_cast<double>(config.base_dim);
  double flop = 0, channels = decoder ? base * static_cast<double>(config.dim_mult[3]) : base;
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t level = decoder ? 3 - i : i;
    const double width = base * static_cast<double>(config.dim_mult[level]);
    const auto [frames, pixels] = levels[level];
    for (int64_t block = 0; block < config.num_res_blocks + (decoder ? 1 : 0); ++block, channels = width)
      flop += frames * pixels * residual(channels, width);
    if (i == 3) break;
    const Level next = levels[decoder ? level - 1 : level + 1];
    const bool time = next.frames != frames;
    const double out = decoder ? width / 2 : width;
    if (time && decoder) flop += frames * pixels * convolution(3, width, 2 * width);
    if (time && !decoder) flop += next.frames * next.pixels * convolution(3, width, width);
    flop += (decoder ? next.frames : frames) * next.pixels * convolution(9, width, out);
    channels = out;
  }
  return flop;
}

Vae make_vae(const VaeBenchConfig& config, const BenchSetup& setup) {
  Vae vae = config.folder.empty() ? Vae(config.vae) : load_vae(config.folder, setup.device, setup.dtype);
  vae->to(setup.device, setup.dtype);
  vae->store_channels_last();
  vae->set_convolution(parse_convolution_way(config.convolution));
  vae->eval();
  return vae;
}

}  // namespace

void VaeBenchConfig::validate() const {
  vae.validate();
  check(frames >= 1 && frames % 4 == 1, "--frames is ", frames, ", expected 1 + 4k");
  check(width >= 8 && height >= 8 && width % 8 == 0 && height % 8 == 0, "--size is ", width, "x", height,
        ", expected multiples of 8");
  check(encode || decode, "nothing to measure");
}

double vae_encode_flop(const VaeConfig& config, double latents) {
  const double base = static_cast<double>(config.base_dim), top = base * static_cast<double>(config.dim_mult[3]);
  const double z = 2 * static_cast<double>(config.z_dim);
  return level_flop(config, latents, /*decoder=*/false) + 4 * 64 * latents * convolution(27, 3, base) +
         middle(top, latents) + latents * (convolution(27, top, z) + convolution(1, z, z));
}

double vae_decode_flop(const VaeConfig& config, double latents) {
  const double base = static_cast<double>(config.base_dim), top = base * static_cast<double>(config.dim_mult[3]);
  const double z = static_cast<double>(config.z_dim), last = base * static_cast<double>(config.dim_mult[0]);
  return level_flop(config, latents, /*decoder=*/true) + 4 * 64 * latents * convolution(27, last, 3) +
         middle(top, latents) + latents * (convolution(27, z, top) + convolution(1, z, z));
}

BenchReport bench_vae(const VaeBenchConfig& config, const BenchSetup& setup) {
  config.validate();
  const at::NoGradGuard no_grad;
  Meter meter(setup.device, setup.meter);
  BenchReport report{"vae", device_name(setup.device), dtype_name(setup.dtype), {}, {}, {}, {}};
  report.rates = measure_rates(meter, setup.dtype);
  release_cached_memory(setup.device);
  Vae vae = make_vae(config, setup);
  report.sizes = {{"frames", config.frames},           {"width", config.width},
                  {"height", config.height},           {"base_dim", vae->config().base_dim},
                  {"convolution", config.convolution}, {"weights", config.folder.empty() ? "random" : config.folder}};
  report.ratio = "ms a frame";
  const int64_t latent_count = latent_frames(config.frames), rows = config.height / 8, columns = config.width / 8;
  const auto measure = [&](const char* pass, double flop, const std::function<void()>& work) {
    stop_if_interrupted();
    log_info("measuring ", pass);
    BenchRow row{"VAE", config.convolution, pass, meter.measure(work), flop * static_cast<double>(config.frames) / 4,
                 {}};
    row.ratio = 1e3 * row.measured.seconds / static_cast<double>(config.frames);
    report.rows.push_back(row);
  };
  const double latents = static_cast<double>(rows * columns);
  if (config.encode) {  // one frame, seen again and again: the clip itself takes no memory
    const at::Tensor clip = random_tensor({1, 3, 1, config.height, config.width}, 0, setup.device, at::kFloat)
                                .expand({1, 3, config.frames, config.height, config.width});
    measure("encode", vae_encode_flop(vae->config(), latents), [&] { vae->encode(clip); });
  }
  if (config.decode) {
    const at::Tensor latent =
        random_tensor({1, vae->config().z_dim, latent_count, rows, columns}, 1, setup.device, at::kFloat);
    measure("decode", vae_decode_flop(vae->config(), latents), [&] { vae->decode(latent, [](const at::Tensor&) {}); });
  }
  return report;
}

}  // namespace moga
