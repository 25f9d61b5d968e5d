// The linear decoder finds a linear map, says how well it fits, and is kept in a file.
#include "moga/model/preview_decoder.h"

#include <ATen/ATen.h>

#include "moga/core/files.h"
#include "moga/core/random.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

struct Clip {
  at::Tensor latent, video;
};

// Colours that are a linear map of the latents, the same for all pixels of a latent position; with noise of a latent's.
Clip linear_clip(const PreviewDecoder& map, uint64_t number, double noise) {
  const at::Tensor latent = at::randn({4, 3, 2, 3}, random_stream(1, "latent", number));
  const at::Tensor colours = at::einsum("cz,zfyx->cfyx", {map.weight, latent}) + map.bias.reshape({3, 1, 1, 1}) +
                             noise * at::randn({3, 3, 2, 3}, random_stream(1, "noise", number));
  const at::Tensor frames = at::cat({colours.narrow(1, 0, 1), colours.narrow(1, 1, 2).repeat_interleave(4, 1)}, 1);
  return {latent, frames.repeat_interleave(8, 2).repeat_interleave(8, 3)};  // [3, 9, 16, 24]
}

PreviewDecoder fitted(const PreviewDecoder& map, double noise) {
  PreviewFit fit(4);
  for (uint64_t number = 0; number < 40; ++number) {
    const Clip clip = linear_clip(map, number, noise);
    fit.add(clip.latent, clip.video);
  }
  return fit.solve();
}

const PreviewDecoder& some_map() {
  static const PreviewDecoder map = {.weight = at::randn({3, 4}, random_stream(1, "map")) * 0.3,
                                     .bias = at::tensor({0.1f, -0.2f, 0.0f})};
  return map;
}

TEST(PreviewDecoder, FindsALinearMap) {
  const PreviewDecoder found = fitted(some_map(), 0);
  EXPECT_TRUE(test::close(found.weight, some_map().weight, 1e-4));
  EXPECT_TRUE(test::close(found.bias, some_map().bias, 1e-4));
  EXPECT_GT(found.explained, 0.9999);
}

TEST(PreviewDecoder, SaysHowMuchItExplains) {
  const double signal = some_map().weight.square().sum().item<double>() / 3, noise = 0.5;
  const PreviewDecoder found = fitted(some_map(), noise);
  EXPECT_NEAR(found.explained, signal / (signal + noise * noise), 0.06);
  EXPECT_NEAR(found.psnr, 10 * std::log10(4 / (noise * noise)), 0.6);
}

TEST(PreviewDecoder, DrawsAPicturePerLatentFrame) {
  const Clip clip = linear_clip(some_map(), 7, 0);
  const at::Tensor frames = some_map().decode(clip.latent, 1);
  const at::Tensor expected = ((clip.video.slice(2, 0, 16, 8).slice(3, 0, 24, 8) + 1) * 127.5).round().clamp(0, 255);
  EXPECT_TRUE(at::equal(frames[0].to(at::kFloat), expected.select(1, 0)));
  EXPECT_TRUE(at::equal(frames[2].to(at::kFloat), expected.select(1, 8)));
  EXPECT_EQ(some_map().decode(clip.latent, 4).sizes(), at::IntArrayRef({3, 3, 8, 12}));
}

TEST(PreviewDecoder, IsKeptInAFileAndDamageIsNamed) {
  const test::Folder folder;
  const auto error = [&](int64_t channels) {
    return test::error_of([&] { load_preview_decoder(folder.path(), channels); });
  };
  EXPECT_NE(error(4).find("preview.json: there is none; `moga train preview "), std::string::npos);
  const PreviewDecoder map = fitted(some_map(), 0.5);
  save_preview_decoder(folder.path(), map);
  const PreviewDecoder again = load_preview_decoder(folder.path(), 4);
  EXPECT_TRUE(at::equal(again.weight, map.weight) && at::equal(again.bias, map.bias));
  EXPECT_NE(error(16).find("weight is not a list of 48 numbers"), std::string::npos);
  write_text(folder / kPreviewFile, "{\"weight\": [1, 2, 3], \"bias\": [0, \"x\", 0]}");
  EXPECT_NE(error(1).find("bias holds what is not a number"), std::string::npos);
  write_text(folder / kPreviewFile, R"({"weight": [1, 2, 3], "bias": [0, 0, 0], "explained": "much", "psnr": 20})");
  EXPECT_NE(error(1).find("explained is not a number"), std::string::npos);
}

}  // namespace
}  // namespace moga
