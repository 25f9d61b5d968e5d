// FLOP of the VAE's convolutions and of the attention over pixels, for one latent frame: strides().frames pixel frames
// of strides().frame_area() pixels per latent. A multiply-add counts as two.
#include "moga/model/vae/vae.h"

namespace moga {
namespace {

// FLOP per pixel, 2 · taps · channels in · channels out, for the two convolutions and the shortcut of a residual block.
double convolution(double taps, double in, double out) { return 2 * taps * in * out; }
double residual(double in, double out) {
  return convolution(27, in, out) + convolution(27, out, out) + (in == out ? 0 : convolution(1, in, out));
}

// Two residual blocks and attention at the lowest resolution, one frame of `pixels`.
double middle(double channels, double pixels) {
  return pixels * (2 * residual(channels, channels) + convolution(1, channels, 4 * channels) + 4 * pixels * channels);
}

// Frames and pixels of a level for one latent frame: level 0 is full resolution.
struct Level {
  double frames, pixels;
};
std::vector<Level> levels_of(const VaeConfig& config, double latents) {
  std::vector<Level> levels = {{1, latents}};  // from the lowest resolution up
  for (size_t level = 3; level-- > 0;)
    levels.push_back({levels.back().frames * (config.temperal_downsample[level] ? 2 : 1), 4 * levels.back().pixels});
  return {levels.rbegin(), levels.rend()};
}

// Decoder and encoder have the same levels; the decoder has one more residual block in each. The additions of Wan2.2's
// shortcuts are not counted, nor are those of its blocks.
double level_flop(const VaeConfig& config, double latents, bool decoder) {
  const std::vector<Level> levels = levels_of(config, latents);
  const double base = static_cast<double>(decoder ? config.decoder_base() : config.base_dim);
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
    const double out = decoder && !config.is_residual ? width / 2 : width;
    if (time && decoder) flop += frames * pixels * convolution(3, width, 2 * width);
    if (time && !decoder) flop += next.frames * next.pixels * convolution(3, width, width);
    flop += (decoder ? next.frames : frames) * next.pixels * convolution(9, width, out);
    channels = out;
  }
  return flop;
}

// Pixels of a latent, or squares of them, over its frames.
double pixels(const VaeConfig& config) {
  const Strides strides = config.strides();
  return static_cast<double>(strides.frames * strides.frame_area() / (config.pixel_patch() * config.pixel_patch()));
}

}  // namespace

double VaeConfig::encode_flop(double latents) const {
  const double base = static_cast<double>(base_dim), top = base * static_cast<double>(dim_mult[3]);
  const double z = 2 * static_cast<double>(z_dim);
  return level_flop(*this, latents, /*decoder=*/false) +
         pixels(*this) * latents * convolution(27, static_cast<double>(pixel_channels()), base) + middle(top, latents) +
         latents * (convolution(27, top, z) + convolution(1, z, z));
}

double VaeConfig::decode_flop(double latents) const {
  const double base = static_cast<double>(decoder_base()), top = base * static_cast<double>(dim_mult[3]);
  const double z = static_cast<double>(z_dim), last = base * static_cast<double>(dim_mult[0]);
  return level_flop(*this, latents, /*decoder=*/true) +
         pixels(*this) * latents * convolution(27, last, static_cast<double>(pixel_channels())) + middle(top, latents) +
         latents * (convolution(27, z, top) + convolution(1, z, z));
}

}  // namespace moga
