// Stories become shards whose latents are those of the VAE, and captions a tokenizer.
#include "moga/train/video/prepare.h"

#include <ATen/ATen.h>

#include "moga/core/interrupt.h"
#include "moga/data/dataset/shards.h"
#include "moga/data/story/render.h"
#include "moga/data/video/video.h"
#include "moga/model/image_condition.h"
#include "moga/model/text/captions.h"
#include "moga/model/text/tokenizer.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"
#include "tests/train/vae/tiny_vae.h"

namespace moga {
namespace {

PrepareConfig tiny_prepare(const test::Folder& folder) {
  test::save_tiny_vae(folder / "vae", 4);
  PrepareConfig config;
  config.vae = (folder / "vae").string();
  config.out = (folder / "shards").string();
  config.count = 3;
  config.first_seed = 40;
  config.batch = 2;
  config.device = "cpu";
  config.story = {.width = 48, .height = 32, .frames = 17, .min_shots = 2, .max_shots = 2};
  return config;
}

TEST(Prepare, WritesLatentsShotsAndCaptionsOfTheStories) {
  const test::Folder folder;
  const PrepareConfig config = tiny_prepare(folder);
  EXPECT_EQ(prepare_stories(config), 3);
  const ShardDataset shards(config.out);
  ASSERT_EQ(shards.size(), 3);
  const Story story = plan_story(42, config.story);
  const Sample sample = shards.get(2);
  EXPECT_EQ(sample.captions, story.captions());
  EXPECT_EQ(sample.shot_frames, story.latent_shot_frames());
  at::NoGradGuard no_grad;
  Vae vae = load_vae(config.vae, at::kCPU, at::kFloat);
  const at::Tensor frames = to_float(render_story(story, at::kCPU).frames);
  const at::Tensor expected = vae->encode(frames.unsqueeze(0))[0];
  EXPECT_TRUE(test::close(sample.latent.to(at::kFloat), expected, 4e-3));  // stored in bfloat16
}

TEST(Prepare, WholeClipsAndStreamsGiveTheSameLatents) {
  const test::Folder folder;
  PrepareConfig config = tiny_prepare(folder);
  std::vector<at::Tensor> latents;
  for (const EncodeMode mode : {EncodeMode::kClip, EncodeMode::kStream}) {
    config.mode = mode;
    config.out = (folder / name_of(mode)).string();
    prepare_stories(config);
    latents.push_back(ShardDataset(config.out).get(0).latent.to(at::kFloat));
  }
  EXPECT_TRUE(test::close(latents[0], latents[1], 4e-3));
}

// Of the shots' first frames, as generation makes it of the same pictures.
TEST(Prepare, StoresTheConditionOfTheShotsImages) {
  const at::NoGradGuard no_grad;
  const test::Folder folder;
  PrepareConfig config = tiny_prepare(folder);
  config.images = {.form = ImageForm::kCondition, .share = 0.5};
  EXPECT_EQ(prepare_stories(config), 3);
  const Story story = plan_story(42, config.story);
  const Sample sample = ShardDataset(config.out).get(2);
  EXPECT_EQ(sample.images.shown.first, draw_images(config.images, 42, sample.shot_frames).first);
  const at::Tensor frames = render_story(story, at::kCPU).frames;
  std::vector<GivenFrames> given(2);
  for (const size_t shot : {0, 1})
    if (sample.images.shown.first[shot]) given[shot].first = given_frame(frames[story.shots[shot].first_frame]);
  Vae vae = load_vae(config.vae, at::kCPU, at::kFloat);
  const at::Tensor expected = image_condition(*vae, sample.shot_frames, sample.latent.size(1), given);
  EXPECT_TRUE(test::close(sample.images.condition.to(at::kFloat), expected.narrow(0, 4, 4), 4e-3));
}

TEST(Prepare, StoresTheLatentsOfTheShotsImagesAndTheSameLatentsOfVideos) {
  const test::Folder folder;
  PrepareConfig config = tiny_prepare(folder);
  EXPECT_EQ(prepare_stories(config), 3);
  const ShardDataset plain(config.out);
  config.out = (folder / "given").string();
  config.images = {.form = ImageForm::kLatents, .share = 0.4};
  EXPECT_EQ(prepare_stories(config), 3);
  const ShardDataset given(config.out);
  for (int64_t i = 0; i < 3; ++i) {
    const Sample sample = given.get(i);
    const int64_t images = draw_images(config.images, 40 + static_cast<uint64_t>(i), sample.shot_frames).count();
    EXPECT_EQ(sample.images.latents.defined() ? sample.images.latents.size(1) : 0, images);
    EXPECT_TRUE(at::equal(sample.latent, plain.get(i).latent));
  }
}

TEST(Prepare, AnInterruptedRunLeavesNothingUnderTheFinalName) {
  const test::Folder folder;
  const PrepareConfig config = tiny_prepare(folder);
  const std::string notes = config.out + ".partial/a person's notes";
  std::filesystem::create_directories(notes);
  set_interrupted(true);
  EXPECT_EQ(prepare_stories(config), 0);
  set_interrupted(false);
  EXPECT_FALSE(std::filesystem::exists(config.out));
  EXPECT_EQ(prepare_stories(config), 3);
  EXPECT_TRUE(std::filesystem::exists(notes));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 3);  // vae, shards, notes
}

TEST(Prepare, RefusesAFolderThatHoldsSomething) {
  const test::Folder folder;
  const PrepareConfig config = tiny_prepare(folder);
  std::filesystem::create_directories(config.out + "/holiday");
  EXPECT_NE(test::error_of([&] { prepare_stories(config); }).find("is not empty"), std::string::npos);
}

TEST(Prepare, StoresTheEmbeddingsThatTheTextEncoderGives) {
  const test::Folder folder;
  PrepareConfig config = tiny_prepare(folder);
  prepare_tokenizer({}, 0, 40, 200, folder / "spiece.model");
  TextEncoder encoder(
      TextEncoderConfig{.vocab_size = 200, .d_model = 16, .d_kv = 8, .d_ff = 32, .num_layers = 1, .num_heads = 2});
  save_text_encoder(folder / "text_encoder", encoder, at::kFloat);
  config.text_encoder = (folder / "text_encoder").string();
  config.tokenizer = (folder / "spiece.model").string();
  config.text_len = 24;
  EXPECT_EQ(prepare_stories(config), 3);
  const at::NoGradGuard no_grad;
  const Tokenizer tokenizer(config.tokenizer);
  const ShardDataset shards(config.out);
  const Sample sample = shards.get(1);
  const at::Tensor expected = encode_captions(encoder, tokenizer, sample.captions, 24, at::kFloat).to(at::kBFloat16);
  const at::Tensor lengths = tokenizer.encode_batch(sample.captions, 24).lengths;
  ASSERT_EQ(sample.text.size(), sample.captions.size());
  for (size_t shot = 0; shot < sample.text.size(); ++shot)
    EXPECT_TRUE(at::equal(sample.text[shot], expected[shot].narrow(0, 0, lengths[shot].item<int64_t>()))) << shot;
  EXPECT_EQ(shards.negative().text.size(0), 1);  // the end of an empty prompt
}

TEST(Prepare, TokenizerKnowsTheCaptions) {
  const test::Folder folder;
  prepare_tokenizer({}, 0, 400, 1000, folder / "spiece.model");
  const Tokenizer tokenizer(folder / "spiece.model");
  EXPECT_LE(tokenizer.vocab_size(), 1000);
  for (uint64_t seed = 1000; seed < 1050; ++seed)
    for (const std::string& caption : plan_story(seed, {}).captions())
      EXPECT_LE(tokenizer.encode(caption).size(), 64u) << caption;  // the demo's text_len
}

}  // namespace
}  // namespace moga
