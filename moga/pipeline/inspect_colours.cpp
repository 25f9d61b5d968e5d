// See inspect_colours.h.
#include "moga/pipeline/inspect_colours.h"

#include <ATen/ATen.h>

#include <array>
#include <vector>

namespace moga {
namespace {

using Colour = std::array<double, 3>;

// M. Okabe and K. Ito, Color Universal Design (2008), without black, which a dark picture would hide; the eighth is
// grey.
constexpr std::array<Colour, 8> kBase = {{{230, 159, 0},
                                          {86, 180, 233},
                                          {0, 158, 115},
                                          {240, 228, 66},
                                          {0, 114, 178},
                                          {213, 94, 0},
                                          {204, 121, 167},
                                          {153, 153, 153}}};
constexpr std::array<Colour, 4> kRamp = {{{8, 29, 88}, {84, 96, 116}, {158, 150, 110}, {255, 234, 70}}};

Colour mixed(const Colour& a, const Colour& b, double share) {
  Colour result;
  for (size_t i = 0; i < 3; ++i) result[i] = a[i] + share * (b[i] - a[i]);
  return result;
}

Colour group_colour(int64_t group) {
  const Colour& base = kBase[static_cast<size_t>(group) % kBase.size()];
  const auto variant = (static_cast<size_t>(group) % kGroupColours) / kBase.size();
  return variant == 0 ? base : variant == 1 ? mixed(base, {255, 255, 255}, 0.55) : mixed(base, {0, 0, 0}, 0.5);
}

Colour value_colour(int64_t value) {
  const double at = static_cast<double>(value) / 255 * (kRamp.size() - 1);
  const size_t below = std::min(static_cast<size_t>(at), kRamp.size() - 2);
  return mixed(kRamp[below], kRamp[below + 1], at - static_cast<double>(below));
}

at::Tensor table(Colour (*colour)(int64_t)) {
  const at::Tensor rows = at::empty({256, 3}, at::kDouble);
  for (int64_t i = 0; i < 256; ++i)
    for (int64_t c = 0; c < 3; ++c) rows[i][c] = colour(i)[static_cast<size_t>(c)];
  return rows.round().to(at::kByte);
}

// Position of each of `pixels` pixels in a row of `cells` cells.
at::Tensor cells_of(int64_t pixels, int64_t cells) {
  return (at::arange(pixels, at::kLong) * cells).div(pixels, "floor");
}

}  // namespace

at::Tensor group_colours() {
  static const at::Tensor colours = table(group_colour);
  return colours;
}

at::Tensor value_colours() {
  static const at::Tensor colours = table(value_colour);
  return colours;
}

at::Tensor overlay(const at::Tensor& picture, const at::Tensor& map, const at::Tensor& colours) {
  const int64_t height = picture.size(1), width = picture.size(2);
  const at::Tensor cells =
      map.index_select(0, cells_of(height, map.size(0))).index_select(1, cells_of(width, map.size(1)));
  const at::Tensor over =
      colours.index_select(0, cells.flatten().to(at::kLong)).view({height, width, 3}).permute({2, 0, 1});
  const at::Tensor grey = picture.to(at::kFloat).mean(0, /*keepdim=*/true);
  return at::lerp(grey.expand({3, height, width}), over.to(at::kFloat), kOverlayOpacity).round().to(at::kByte);
}

}  // namespace moga
