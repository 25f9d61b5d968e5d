// Frames equal those that torchvision makes with VBench's transforms (tools/make_fixtures_films.py).
#include "moga/evaluate/frame_pixels.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/safetensors.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga {
namespace {

const std::filesystem::path kPixelFilms = MOGA_FILM_FIXTURES;

TEST(FramePixels, EqualVBench) {
  const Safetensors file(kPixelFilms / "films.safetensors");
  const at::Tensor frames = file.load("frames");
  EXPECT_TRUE(test::close(vbench_clip_pixels(frames, 32), file.load("clip.pixels"), 1e-6));
  EXPECT_TRUE(test::close(vbench_dino_pixels(frames, 32), file.load("dino.pixels"), 1e-6));
}

// 33 columns too many: Python's round(16.5) is 16. A tall film is cut above and below.
TEST(FramePixels, TheMiddleIsCutOut) {
  const at::Tensor columns = at::arange(65).to(at::kByte).view({1, 1, 1, 65}).expand({1, 3, 32, 65});
  const at::Tensor middle = vbench_clip_pixels(columns, 32);
  const at::Tensor all = vbench_clip_pixels(columns.slice(3, 16, 48), 32);
  EXPECT_TRUE(at::equal(middle, all));
  const at::Tensor turned = columns.transpose(2, 3);
  EXPECT_TRUE(at::equal(vbench_clip_pixels(turned, 32), middle.transpose(2, 3)));
  EXPECT_EQ(vbench_dino_pixels(turned, 32).sizes(), (at::IntArrayRef{1, 3, 65, 32}));
  EXPECT_EQ(test::error_of([] {
              vbench_clip_pixels(at::zeros({3, 4, 5}), 32);
            }),
            "frames are Float [3, 4, 5], expected uint8 [n, 3, Y, X]");
}

}  // namespace
}  // namespace moga
