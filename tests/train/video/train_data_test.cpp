// Packed batches and caption dropout.
#include "moga/train/video/train_data.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/data/dataset/shards.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/train/tiny_images.h"

namespace moga {
namespace {

TrainData tiny(const Tokenizer& tokenizer) {
  return TrainData({.folder = test::tiny_data() / "shards", .negative_prompt = "", .text_len = 12}, &tokenizer);
}

TEST(TrainData, PacksVideosOfUnequalShape) {
  const Tokenizer tokenizer(test::tiny_data() / "spiece.model");
  const ShardDataset shards(test::tiny_data() / "shards");
  const TrainBatch batch = tiny(tokenizer).batch({{.index = 5}, {.index = 2}});
  const auto views = batch.latents.views();
  ASSERT_EQ(views.size(), 2u);
  EXPECT_TRUE(at::equal(views[0], shards.get(5).latent));
  EXPECT_TRUE(at::equal(views[1], shards.get(2).latent));
  EXPECT_EQ(batch.layout.videos[1].columns, 3);
  EXPECT_EQ(batch.layout.shots(), 4);
  const TokenBatch expected = tokenizer.encode_batch(shards.get(2).captions, 12);
  EXPECT_TRUE(at::equal(batch.ids.narrow(0, 2, 2), expected.ids));
  EXPECT_TRUE(at::equal(batch.lengths.narrow(0, 2, 2), expected.lengths));
}

TEST(TrainData, CountsTokensAndBeginsAtAnyVideo) {
  const Tokenizer tokenizer(test::tiny_data() / "spiece.model");
  EXPECT_EQ(tiny(tokenizer).tokens(), (std::vector<int64_t>{18, 12, 18, 12, 18, 12, 18, 12, 18, 12}));
  const TrainData last({.folder = test::tiny_data() / "shards", .text_len = 12, .first = 7, .frames = 2}, &tokenizer);
  EXPECT_EQ(last.tokens(), (std::vector<int64_t>{8, 12, 8}));
  const at::Tensor latent = ShardDataset(test::tiny_data() / "shards").get(8).latent.narrow(1, 0, 2);
  EXPECT_TRUE(at::equal(last.batch({{.index = 1}}).latents.views()[0], latent));
}

TEST(TrainData, DroppedVideoHasTheNegativePromptInEveryShot) {
  const Tokenizer tokenizer(test::tiny_data() / "spiece.model");
  const TrainBatch batch = tiny(tokenizer).batch({{.index = 1}, {.index = 2, .dropped = true}});
  const TokenBatch empty = tokenizer.encode_batch({"", ""}, 12);
  EXPECT_FALSE(at::equal(batch.ids.narrow(0, 0, 2), empty.ids));
  EXPECT_TRUE(at::equal(batch.ids.narrow(0, 2, 2), empty.ids));
  EXPECT_TRUE(
      at::equal(at::tensor(batch.text_lengths, at::kLong), batch.lengths));  // of models that attend to no padding
}

TEST(TrainData, KeepsTheFirstFramesAndTheirShots) {
  const Tokenizer tokenizer(test::tiny_data() / "spiece.model");
  const ShardDataset shards(test::tiny_data() / "shards");
  for (const auto& [frames, shot_frames] : {std::pair{1, std::vector<int64_t>{1}}, {2, {1, 1}}, {9, {1, 2}}}) {
    const TrainData data({.folder = test::tiny_data() / "shards", .text_len = 12, .frames = frames}, &tokenizer);
    const TrainBatch batch = data.batch({{.index = 4}});
    EXPECT_TRUE(at::equal(batch.latents.views()[0], shards.get(4).latent.narrow(1, 0, std::min(frames, 3))));
    EXPECT_EQ(batch.layout.videos[0].shot_frames, shot_frames);
    EXPECT_EQ(batch.ids.size(0), static_cast<int64_t>(shot_frames.size()));
  }
}

TrainData with_images(ImageStyle style, const Tokenizer& tokenizer, int64_t frames = 0) {
  const test::Folder& folder = test::tiny_image_data(style);
  return TrainData({.folder = folder / "shards",
                    .text_len = 12,
                    .frames = frames,
                    .images = image_needs(test::tiny_image_config(style, "unused"))},
                   &tokenizer);
}

TEST(TrainData, GivesMaskConditionAndEmbeddingsOfImages) {
  const Tokenizer tokenizer(test::tiny_data() / "spiece.model");
  const TrainBatch batch =
      with_images(ImageStyle::kEmbedded, tokenizer).batch({{.index = 2}, {.index = 5, .dropped = true}});
  const ShardDataset shards(test::tiny_image_data(ImageStyle::kEmbedded) / "shards");
  ASSERT_EQ(batch.condition.size(), 2u);
  const at::Tensor mask = batch.condition[1].narrow(0, 0, 4);  // a first frame: all channels of frame 0
  EXPECT_TRUE(at::equal(mask.amin({2, 3}), mask.amax({2, 3})));
  EXPECT_TRUE(at::equal(mask.select(3, 0).select(2, 0), at::tensor({1, 0, 0}, at::kFloat).expand({4, 3})));
  EXPECT_TRUE(at::equal(batch.condition[1].narrow(0, 4, 4), shards.get(5).images.condition));
  EXPECT_EQ(batch.image.counts, (std::vector<int64_t>{3, 0, 3, 0}));
  EXPECT_TRUE(at::equal(batch.image.rows.narrow(0, 3, 3), shards.get(5).images.embeddings[0].to(at::kFloat)));
}

TEST(TrainData, GivesLatentsOfImagesAndNoneWhereNothingWouldBeLeft) {
  const Tokenizer tokenizer(test::tiny_data() / "spiece.model");
  const TrainBatch batch = with_images(ImageStyle::kGiven, tokenizer).batch({{1}, {4}});
  const ShardDataset shards(test::tiny_image_data(ImageStyle::kGiven) / "shards");
  ASSERT_EQ(batch.given.size(), 2u);
  EXPECT_EQ(batch.given[0].frames, (std::vector<int64_t>{0, 1}));
  EXPECT_TRUE(at::equal(batch.given[0].latents, shards.get(1).images.latents));
  EXPECT_TRUE(batch.given[1].frames.empty());
  EXPECT_TRUE(with_images(ImageStyle::kGiven, tokenizer, 2).batch({{1}, {3}}).given.empty());
}

TEST(TrainData, LeavesImagesOutForAModelThatTakesNone) {
  const Tokenizer tokenizer(test::tiny_data() / "spiece.model");
  for (const ImageStyle style : {ImageStyle::kEmbedded, ImageStyle::kGiven}) {
    const std::filesystem::path shards = test::tiny_image_data(style) / "shards";
    const TrainBatch batch = TrainData({.folder = shards, .text_len = 12}, &tokenizer).batch({{1}, {4}});
    EXPECT_TRUE(batch.condition.empty() && batch.given.empty() && batch.image.counts.empty());
  }
}

TEST(TrainData, AShotThatIsCutShortLosesItsLastImage) {
  const at::Tensor rows = at::randn({6, 5});  // of its first and its last image
  Sample sample{.latent = at::zeros({4, 4, 2, 2}), .shot_frames = {4}, .captions = {"a"}};
  sample.images = {.form = ImageForm::kCondition,
                   .shown = {{true}, {true}},
                   .condition = at::randn({4, 4, 2, 2}),
                   .embeddings = {rows}};
  const SampleImages whole = first_frames(sample, 4).images, cut = first_frames(sample, 3).images;
  EXPECT_TRUE(whole.shown.last[0]);
  EXPECT_TRUE(cut.shown.first[0]);
  EXPECT_FALSE(cut.shown.last[0]);
  EXPECT_TRUE(at::equal(cut.condition, sample.images.condition.narrow(1, 0, 3)));
  EXPECT_TRUE(at::equal(cut.embeddings[0], rows.narrow(0, 0, 3)));
}

TEST(TrainData, StreamsInTheOrderAskedForAndOnlyThat) {
  const Tokenizer tokenizer(test::tiny_data() / "spiece.model");
  TrainData stream({.folder = test::tiny_data() / "shards", .text_len = 12, .cache = LatentCache::kStream}, &tokenizer);
  const TrainData whole = tiny(tokenizer);
  stream.read_ahead([](int64_t position) { return (3 * position) % 10; }, 2, 4);
  for (int64_t position = 2; position < 30; position += 2) {
    const std::vector<Pick> picks = {{.index = (3 * position) % 10},
                                     {.index = (3 * position + 3) % 10, .dropped = true}};
    const TrainBatch a = stream.batch(picks), b = whole.batch(picks);
    EXPECT_TRUE(at::equal(a.latents.values, b.latents.values));
    EXPECT_TRUE(at::equal(a.ids, b.ids) && at::equal(a.lengths, b.lengths));
    EXPECT_EQ(a.text_lengths, b.text_lengths);
  }
  EXPECT_NE(test::error_of([&] { stream.batch({{.index = 9}}); }).find("video 9 was asked for, video 0 was read ahead"),
            std::string::npos);
}

// A data set with embeddings that tell sample, shot and token, and a negative prompt of one token.
void write_stored_text(const std::filesystem::path& folder) {
  ShardWriter writer(folder, 2);
  for (int64_t i = 0; i < 3; ++i)
    writer.add({.latent = at::zeros({4, 3, 4, 4}),
                .shot_frames = {1, 2},
                .captions = {"a", "b"},
                .text = {at::full({2, 5}, i + 1).to(at::kBFloat16), at::full({9, 5}, i + 101).to(at::kBFloat16)}});
  writer.set_negative({"blurry", at::full({1, 5}, -1).to(at::kBFloat16)});
  writer.finish();
}

TEST(TrainData, StoredTextIsPaddedAndCutAsEncodedTextIs) {
  const test::Folder folder;
  write_stored_text(folder.path());
  const TrainData data({.folder = folder.path(), .negative_prompt = "blurry", .text_len = 4}, nullptr);
  const TrainBatch batch = data.batch({{.index = 2}, {.index = 0, .dropped = true}});
  EXPECT_EQ(batch.text_lengths, (std::vector<int64_t>{2, 4, 1, 1}));
  const at::Tensor& text = batch.text;
  ASSERT_EQ(text.sizes(), at::IntArrayRef({4, 4, 5}));
  const at::Tensor expected = at::tensor({3, 3, 0, 0, 103, 103, 103, 103, -1, 0, 0, 0, -1, 0, 0, 0}, at::kFloat);
  EXPECT_TRUE(at::equal(text.select(2, 0).flatten(), expected));
}

TEST(TrainData, StoredTextMustBeThereAndFitTheNegativePrompt) {
  const test::Folder folder;
  write_stored_text(folder.path());
  const auto error = [](const std::filesystem::path& shards, const std::string& prompt) {
    return test::error_of([&] { TrainData({.folder = shards, .negative_prompt = prompt}, nullptr); });
  };
  EXPECT_NE(error(folder.path(), "").find("stores the negative prompt 'blurry', the config says ''"),
            std::string::npos);
  EXPECT_NE(error(test::tiny_data() / "shards", "").find("holds no text embeddings"), std::string::npos);
}

TEST(CaptionDropout, HasItsRate) {
  int64_t dropped = 0;
  for (int64_t step = 0; step < 500; ++step) {
    const std::vector<bool> draw = draw_dropout(1, step, 16, 0.1);
    dropped += std::count(draw.begin(), draw.end(), true);
  }
  EXPECT_NEAR(dropped / 8000.0, 0.1, 0.012);
  EXPECT_EQ(draw_dropout(1, 0, 8, 0.0), std::vector<bool>(8, false));
}

}  // namespace
}  // namespace moga
