// What is stored of a video's images is what generation makes of the same pictures.
#include "moga/train/video/shot_images.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/model/image_condition.h"
#include "moga/model/vae/vae.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"
#include "tests/train/vae/tiny_vae.h"

namespace moga {
namespace {

const std::vector<int64_t> kShots = {2, 3};  // 5 and 12 pixel frames

struct Film {
  test::Folder folder;
  at::Tensor frames = (at::manual_seed(3), at::randint(256, {17, 3, 16, 24}, at::kByte));
  Vae vae = (test::save_tiny_vae(folder / "vae", 4), load_vae(folder / "vae", at::kCPU, at::kFloat));

  SampleImages stored(const ImagesConfig& config, bool whole = true) {
    ShotImageMaker maker(config, at::kCPU);
    const DrawnImages drawn = maker.draw(*vae, 7, frames, kShots, whole);
    return maker.stored(drawn, vae->encode(drawn.clip)[0], kShots);
  }
  at::Tensor given(int64_t frame) const { return given_frame(frames[frame]); }
};

TEST(ShotImages, TheConditionIsThatOfGeneration) {
  const at::NoGradGuard no_grad;
  Film film;
  const SampleImages stored = film.stored({.form = ImageForm::kCondition, .last = 1});
  const at::Tensor mask = image_mask(4, kShots, stored.shown.first, stored.shown.last);
  const at::Tensor expected =
      image_condition(*film.vae, kShots, 5, {{film.given(0), film.given(4)}, {film.given(5), film.given(16)}});
  EXPECT_TRUE(at::equal(masked_condition(mask, stored.condition), expected));
}

TEST(ShotImages, GivenLatentsAreThoseOfGeneration) {
  const at::NoGradGuard no_grad;
  Film film;
  const GivenLatents expected = given_latents(*film.vae, kShots, 5, {{film.given(0), {}}, {film.given(5), {}}});
  const ImagesConfig config{.form = ImageForm::kLatents};
  EXPECT_TRUE(at::equal(film.stored(config, /*whole=*/false).latents, expected.latents));
  EXPECT_TRUE(test::close(film.stored(config, /*whole=*/true).latents, expected.latents, 1e-6));
  EXPECT_EQ(given_latent_frames(kShots, film.stored(config).shown.first), expected.frames);
}

// CLIP's vision transformer of two layers with random weights, and its processor, as in a model folder.
void write_image_encoder(const std::filesystem::path& folder) {
  ImageEncoder encoder(ImageEncoderConfig{.hidden_size = 8,
                                          .intermediate_size = 16,
                                          .num_hidden_layers = 2,
                                          .num_attention_heads = 2,
                                          .image_size = 28,
                                          .patch_size = 14});
  for (const at::Tensor& weight : encoder->parameters()) weight.detach().normal_(0, 0.2);
  save_image_encoder(folder / "image_encoder", encoder, at::kFloat);
  write_text(folder / "image_processor/preprocessor_config.json",
             R"({"crop_size": 28, "size": {"shortest_edge": 28}})");
}

TEST(ShotImages, EmbeddingsAreThoseOfTheShotsImages) {
  const at::NoGradGuard no_grad;
  Film film;
  write_image_encoder(film.folder.path());
  const std::filesystem::path folder = film.folder / "image_encoder";
  const SampleImages stored = film.stored({.form = ImageForm::kCondition, .last = 1, .image_encoder = folder.string()});
  ASSERT_EQ(stored.embeddings.size(), 2u);
  const ImageProcessorConfig processor =
      load_image_processor_config(film.folder / "image_processor/preprocessor_config.json");
  const at::Tensor pixels = at::stack({processed(film.frames[5], processor), processed(film.frames[16], processor)});
  const at::Tensor expected = load_image_encoder(folder, at::kCPU)->forward(pixels);  // [2, 5, 8]
  EXPECT_TRUE(test::close(stored.embeddings[1], expected.flatten(0, 1), 1e-6));
}

TEST(ShotImages, AFolderWithoutAnEncoderIsNamed) {
  EXPECT_EQ(test::error_of([] { ShotImageMaker({.form = ImageForm::kCondition, .image_encoder = "none"}, at::kCPU); }),
            "images.image_encoder: none has no config.json, expected the folder image_encoder of a model folder");
}

}  // namespace
}  // namespace moga
