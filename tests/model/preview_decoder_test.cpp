// The linear decoder finds linear maps, says how well it fits, and is kept in a file.
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

at::Tensor colours_of(const PreviewMap& map, const at::Tensor& latent) {
  return at::einsum("cz,zfyx->cfyx", {map.weight, latent}) + map.bias.reshape({3, 1, 1, 1});
}

// Colours that are linear maps of the latents, the same for all pixels of a latent position; with noise of a latent's.
Clip linear_clip(const PreviewDecoder& map, uint64_t number, double noise) {
  const at::Tensor latent = at::randn({4, 3, 2, 3}, random_stream(1, "latent", number));
  const at::Tensor exact = at::cat({colours_of(map.first, latent.narrow(1, 0, 1)),  //
                                    colours_of(map.later, latent.narrow(1, 1, 2))},
                                   1);
  const at::Tensor colours = exact + noise * at::randn({3, 3, 2, 3}, random_stream(1, "noise", number));
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
  static const PreviewDecoder map = {
      .first = {.weight = at::randn({3, 4}, random_stream(1, "first")) * 0.3, .bias = at::tensor({0.0f, 0.3f, -0.1f})},
      .later = {.weight = at::randn({3, 4}, random_stream(1, "map")) * 0.3, .bias = at::tensor({0.1f, -0.2f, 0.0f})}};
  return map;
}

bool agree(const PreviewMap& one, const PreviewMap& other, double tolerance) {
  return test::close(one.weight, other.weight, tolerance) && test::close(one.bias, other.bias, tolerance);
}

TEST(PreviewDecoder, FindsTheMapOfTheFirstFrameAndThatOfTheOthers) {
  const PreviewDecoder found = fitted(some_map(), 0);
  EXPECT_TRUE(agree(found.first, some_map().first, 1e-4));
  EXPECT_TRUE(agree(found.later, some_map().later, 1e-4));
  EXPECT_GT(found.explained, 0.9999);
}

TEST(PreviewDecoder, SaysHowMuchItExplains) {
  const auto signal_of = [](const PreviewMap& map) { return map.weight.square().sum().item<double>() / 3; };
  const double signal = (signal_of(some_map().first) + 2 * signal_of(some_map().later)) / 3, noise = 0.5;
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
  EXPECT_TRUE(agree(again.first, map.first, 0) && agree(again.later, map.later, 0));
  EXPECT_NE(error(16).find("first: weight is not a list of 48 numbers"), std::string::npos);
  write_text(folder / kPreviewFile, R"({"weight": [1, 2, 3], "bias": [0, 0, 0], "explained": 1, "psnr": 20})");
  EXPECT_NE(error(1).find("first is not a map of latents; `moga train preview` makes the file again"),
            std::string::npos);
  const std::string good = R"({"weight": [1, 2, 3], "bias": [0, 0, 0]})";
  write_text(folder / kPreviewFile,
             R"({"first": )" + good + R"(, "later": {"weight": [1, 2, 3], "bias": [0, "x", 0]}})");
  EXPECT_NE(error(1).find("later: bias holds what is not a number"), std::string::npos);
  write_text(folder / kPreviewFile,
             R"({"first": )" + good + R"(, "later": )" + good + R"(, "explained": "much", "psnr": 20})");
  EXPECT_NE(error(1).find("explained is not a number"), std::string::npos);
}

}  // namespace
}  // namespace moga
