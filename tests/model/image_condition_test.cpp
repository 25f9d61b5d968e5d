// Which frames a condition shows and which it says are given. Its values are held against diffusers by
// tests/pipeline/parity_test.cpp.
#include "moga/model/image_condition.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/model/vae/vae.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga {
namespace {

Vae small_vae() {
  at::manual_seed(5);
  VaeConfig config;
  config.base_dim = 4;
  config.z_dim = 3;
  config.dim_mult = {1, 1, 1, 1};
  config.num_res_blocks = 1;
  return Vae(config);
}

// Mask [4, F] at one place.
at::Tensor mask_of(const at::Tensor& condition) { return condition.narrow(0, 0, 4).select(3, 0).select(2, 0); }

TEST(ImageCondition, ShowsAFirstFrameAsPixelFrameZero) {
  const at::NoGradGuard no_grad;
  Vae vae = small_vae();
  const at::Tensor image = at::rand({3, 16, 24}) * 2 - 1;
  const at::Tensor condition = image_condition(*vae, {}, 3, {{.first = image, .last = {}}});
  EXPECT_EQ(condition.sizes(), (at::IntArrayRef{4 + 3, 3, 2, 3}));
  at::Tensor expected = at::zeros({4, 3}), clip = at::zeros({1, 3, 9, 16, 24});
  expected.select(1, 0).fill_(1);
  EXPECT_TRUE(at::equal(mask_of(condition), expected));
  clip.select(2, 0).copy_(image.unsqueeze(0));
  EXPECT_TRUE(at::equal(condition.narrow(0, 4, 3), vae->encode(clip)[0]));
}

TEST(ImageCondition, ShowsALaterShotsImageInAllFramesOfItsFirstLatentFrame) {
  const at::NoGradGuard no_grad;
  Vae vae = small_vae();
  const at::Tensor image = at::rand({3, 16, 16}), last = at::rand({3, 16, 16});
  const at::Tensor condition = image_condition(*vae, {2, 3}, 5, {{}, {.first = image, .last = last}});
  at::Tensor expected = at::zeros({4, 5}), clip = at::zeros({1, 3, 17, 16, 16});
  expected.select(1, 2).fill_(1);
  expected[3][4] = 1;  // the last pixel frame of the last latent frame
  EXPECT_TRUE(at::equal(mask_of(condition), expected));
  for (int64_t frame = 5; frame < 9; ++frame) clip.select(2, frame).copy_(image.unsqueeze(0));
  clip.select(2, 16).copy_(last.unsqueeze(0));
  EXPECT_TRUE(at::equal(condition.narrow(0, 4, 3), vae->encode(clip)[0]));
}

TEST(GivenLatents, OfAFirstShotAreThoseOfAClipOfOneFrame) {
  const at::NoGradGuard no_grad;
  Vae vae = small_vae();
  const at::Tensor image = at::rand({3, 16, 24}) * 2 - 1;
  const GivenLatents given = given_latents(*vae, {}, 3, {{.first = image, .last = {}}});
  EXPECT_EQ(given.frames, std::vector<int64_t>{0});
  EXPECT_TRUE(at::equal(given.latents, vae->encode(image.unsqueeze(0).unsqueeze(2))[0]));
}

TEST(GivenLatents, OfLaterShotsAreThoseOfTheCondition) {
  const at::NoGradGuard no_grad;
  Vae vae = small_vae();
  const std::vector<int64_t> shots = {2, 1, 3};
  const std::vector<GivenFrames> images = {
      {.first = at::rand({3, 16, 16}), .last = {}}, {}, {.first = at::rand({3, 16, 16}), .last = {}}};
  const GivenLatents given = given_latents(*vae, shots, 6, images);
  EXPECT_EQ(given.frames, (std::vector<int64_t>{0, 3}));
  const at::Tensor condition = image_condition(*vae, shots, 6, images).narrow(0, 4, 3);
  EXPECT_TRUE(at::equal(given.latents, condition.index_select(1, at::tensor({int64_t{0}, int64_t{3}}))));
  EXPECT_TRUE(given_latents(*vae, shots, 6, {{}, {}, {}}).frames.empty());
  EXPECT_EQ(test::error_of([&] {
              given_latents(*vae, {6}, 6, {{.first = {}, .last = at::rand({3, 16, 16})}});
            }),
            "given latents: shot 1 has a last image, expected first ones alone");
}

TEST(ImageCondition, NamesWhatDoesNotFit) {
  Vae vae = small_vae();
  const auto error = [&](const std::vector<GivenFrames>& given) {
    return test::error_of([&] { image_condition(*vae, {1, 1}, 2, given); });
  };
  EXPECT_EQ(error({{}}), "image condition: images of 1 shots, expected 2");
  EXPECT_EQ(error({{}, {}}), "image condition: no shot has an image");
  EXPECT_EQ(error({{at::zeros({3, 16, 16}), {}}, {at::zeros({3, 16, 8}), {}}}),
            "image condition: an image of shot 2 is [3, 16, 8], expected [3, 16, 16] as the others");
}

}  // namespace
}  // namespace moga
