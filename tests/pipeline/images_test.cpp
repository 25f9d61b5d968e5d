// Which images a model can be given, and what shots with and without one see.
#include "moga/pipeline/images.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/pipeline/tiny_folder.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga {
namespace {

std::string error_of(const TransformerConfig& model, const std::vector<ShotHas>& shots) {
  return test::error_of([&] { check_images(model, shots, std::vector<int64_t>(shots.size(), 2)); });
}

TransformerConfig image_model(std::optional<int64_t> image_dim = {}, std::optional<int64_t> positions = {}) {
  TransformerConfig config;
  config.in_channels = 36;
  config.image_dim = image_dim;
  config.pos_embed_seq_len = positions;
  return config;
}

TEST(Images, AreThoseThatTheModelCanBeGiven) {
  EXPECT_EQ(error_of({}, {{}, {}}), "");
  EXPECT_EQ(error_of({}, {{}, {true, false}}).find("shot 2 has an image, and the model is a text-to-video model"), 0u);
  EXPECT_EQ(error_of(image_model(), {{}, {}}).find("no shot has an image, and the model is an image-to-video model"),
            0u);
  EXPECT_EQ(error_of(image_model(), {{}, {true, true}}), "");  // Wan2.2
  EXPECT_EQ(error_of(image_model(), {{false, true}}), "shot 1 has a last_image without an image, expected both");
  EXPECT_EQ(error_of(image_model(1280), {{true, true}}).find("shot 1 has a last_image, and the model takes first"), 0u);
  EXPECT_EQ(error_of(image_model(1280, 514), {{true, true}, {}}), "");
  EXPECT_EQ(error_of(image_model(1280, 514), {{true, false}}).find("shot 1 has no last_image, and the model takes"),
            0u);
  EXPECT_EQ(test::error_of([] {
              check_images(image_model(), {{true, true}}, {1});
            }),
            "shot 1 is one latent frame long, too short for image and last_image");
}

TEST(Images, AreOptionalWhereTheyTakeTheirFramesPlace) {
  const auto error = [](const std::vector<ShotHas>& shots) {
    return test::error_of([&] { check_images(TransformerConfig(), shots, {2, 2}, /*expand_timesteps=*/true); });
  };
  EXPECT_EQ(error({{}, {}}), "");
  EXPECT_EQ(error({{}, {true, false}}), "");
  EXPECT_EQ(error({{}, {true, true}}),
            "shot 2 has a last_image, and the model takes first frames alone, expected a model of first and last "
            "frames (FLF2V) or Wan2.2's I2V-A14B");
}

VideoRequest two_shots(const Models& models) {
  VideoRequest request;
  request.shape = video_shape({48, 32}, {2, 2}, models.pixels_per_token());
  request.captions = {"Mara waves.", "Mara walks."};
  request.images.resize(2);
  return request;
}

TEST(Images, MayBelongToAnyShot) {
  Models models = load_models(test::image_folder(), at::kCPU, at::kFloat);
  at::manual_seed(1);
  VideoRequest first = two_shots(models), second = first;
  first.images[0].first = second.images[1].first = at::randint(256, {3, 40, 50}, at::kByte);
  const Conditions conditions = encode_conditions(models, {first, second}, models.sampler);
  ASSERT_EQ(conditions.images.size(), 2u);
  for (size_t video = 0; video < 2; ++video) {
    const at::Tensor mask = conditions.images[video].narrow(0, 0, 4).amax({0, 2, 3});  // [F]
    EXPECT_EQ(mask.argmax().item<int64_t>(), video == 0 ? 0 : 2);
    EXPECT_EQ(mask.sum().item<float>(), 1.0f);
  }
  const auto latents = denoise(models, {first, second}, conditions, {models.sampler});
  EXPECT_TRUE(test::close(latents[1], test::denoised(models, {second}, {models.sampler})[0], 1e-4));
}

// In a batch of three videos: an image in the first shot, in the second, and none.
TEST(Images, TakeTheirFramesPlaceInAnyShot) {
  Models models = load_models(test::tiny_folder(), at::kCPU, at::kFloat);
  models.expand_timesteps = true;
  at::manual_seed(1);
  VideoRequest first = two_shots(models), second = first, none = first;
  none.images.clear();
  first.images[0].first = second.images[1].first = at::randint(256, {3, 40, 50}, at::kByte);
  const Conditions conditions = encode_conditions(models, {first, second, none}, models.sampler);
  ASSERT_EQ(conditions.given.size(), 3u);
  const auto latents = denoise(models, {first, second, none}, conditions, {models.sampler});
  EXPECT_TRUE(at::equal(latents[0].select(1, 0), conditions.given[0].latents.select(1, 0)));
  EXPECT_TRUE(at::equal(latents[1].select(1, 2), conditions.given[1].latents.select(1, 0)));
  EXPECT_TRUE(test::close(latents[1], test::denoised(models, {second}, {models.sampler})[0], 1e-4));
  models.expand_timesteps = false;
  EXPECT_TRUE(test::close(latents[2], test::denoised(models, {none}, {models.sampler})[0], 1e-4));
}

TEST(Images, AreNotForgottenWhereRequestsHaveNone) {
  Models models = load_models(test::image_folder(), at::kCPU, at::kFloat);
  VideoRequest request = two_shots(models);
  EXPECT_EQ(test::error_of([&] { encode_conditions(models, {request}, models.sampler); }).find("no shot has an image"),
            0u);
  Models text = test::tiny_models();
  request.images[0].first = at::zeros({3, 8, 8}, at::kByte);
  EXPECT_EQ(test::error_of([&] { encode_conditions(text, {request}, text.sampler); }).find("shot 1 has an image"), 0u);
}

}  // namespace
}  // namespace moga
