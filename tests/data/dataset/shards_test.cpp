// Samples are read from a folder of shards as they were written; errors name damaged and foreign files.
#include "moga/data/dataset/shards.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/random.h"
#include "moga/core/safetensors.h"
#include "moga/data/dataset/shard_files.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

Sample sample_of(uint64_t seed, std::vector<int64_t> shot_frames) {
  int64_t frames = 0;
  std::vector<std::string> captions;
  for (const int64_t shot : shot_frames) {
    frames += shot;
    captions.push_back("shot of \"" + std::to_string(shot) + "\" frames");
  }
  return {at::randn({4, frames, 2, 3}, random_stream(seed, "sample")), std::move(shot_frames), captions};
}

TEST(Shards, GiveBackWhatWasPutIn) {
  test::Folder folder;
  ShardWriter writer(folder.path(), 2);
  for (int64_t i = 0; i < 5; ++i) writer.add(sample_of(i, {1 + i, 2}));
  writer.finish();
  const ShardDataset dataset(folder.path());
  ASSERT_EQ(dataset.size(), 5);
  for (const int64_t i : {4, 0, 3, 1, 2}) {
    const Sample expected = sample_of(i, {1 + i, 2}), found = dataset.get(i);
    EXPECT_TRUE(at::equal(found.latent, expected.latent));
    EXPECT_EQ(found.shot_frames, expected.shot_frames);
    EXPECT_EQ(found.captions, expected.captions);
  }
}

TEST(Shards, AreOpenedAgainWhenFewMayStayOpen) {
  const test::Folder folder;
  ShardWriter writer(folder.path(), 2);
  for (int64_t i = 0; i < 9; ++i) writer.add(sample_of(i, {2}));
  writer.finish();
  const ShardDataset dataset(folder.path(), /*open_shards=*/2);
  for (const int64_t i : {8, 0, 3, 1, 5, 8, 2, 7})
    EXPECT_TRUE(at::equal(dataset.get(i).latent, sample_of(i, {2}).latent)) << i;
}

TEST(Shards, TextIsStoredForAllSamplesOrNone) {
  const test::Folder folder;
  ShardWriter writer(folder.path(), 2);
  Sample sample = sample_of(1, {2, 1});
  sample.text = {at::ones({3, 4}, at::kBFloat16), at::zeros({1, 4}, at::kBFloat16)};
  writer.add(sample);
  EXPECT_NE(test::error_of([&] { writer.add(sample_of(2, {2})); }).find("some samples have text embeddings"),
            std::string::npos);
  writer.set_negative({"blurry", at::ones({2, 4})});
  writer.finish();
  const ShardDataset dataset(folder.path());
  EXPECT_TRUE(at::equal(dataset.get(0).text[0], sample.text[0]));
  EXPECT_EQ(dataset.negative().prompt, "blurry");
}

// Two shots, the second with a first and a last image, and embeddings of three tokens an image.
Sample with_condition(uint64_t seed) {
  Sample sample = sample_of(seed, {2, 3});
  const at::Tensor rows = at::randn({6, 5}, random_stream(seed, "embeddings")).to(at::kBFloat16);
  sample.images = {.form = ImageForm::kCondition,
                   .shown = {{false, true}, {false, true}},
                   .condition = at::randn({4, 5, 2, 3}, random_stream(seed, "condition")),
                   .embeddings = {at::Tensor(), rows}};
  return sample;
}

// The first frames of the shots in `first`.
Sample with_latents(uint64_t seed, const std::vector<bool>& first) {
  Sample sample = sample_of(seed, {2, 3});
  sample.images = {.form = ImageForm::kLatents, .shown = {first, {false, false}}};
  if (const int64_t images = sample.images.shown.count(); images > 0)
    sample.images.latents = at::randn({4, images, 2, 3}, random_stream(seed, "given"));
  return sample;
}

TEST(Shards, GiveBackTheConditionOfImages) {
  const test::Folder folder;
  ShardWriter writer(folder.path(), 2);
  for (const uint64_t seed : {1, 2, 3}) writer.add(with_condition(seed));
  writer.finish();
  const ShardDataset dataset(folder.path());
  const SampleImages expected = with_condition(3).images, found = dataset.get(2).images;
  EXPECT_EQ(found.form, ImageForm::kCondition);
  EXPECT_EQ(found.shown.first, expected.shown.first);
  EXPECT_EQ(found.shown.last, expected.shown.last);
  EXPECT_TRUE(at::equal(found.condition, expected.condition));
  EXPECT_FALSE(found.embeddings[0].defined() || found.latents.defined());
  EXPECT_TRUE(at::equal(found.embeddings[1], expected.embeddings[1]));
  const StoredImages& all = dataset.images();
  EXPECT_EQ(std::tuple(all.form, all.embedding, all.some_last, all.some_single),
            std::tuple(ImageForm::kCondition, 5, true, false));
}

TEST(Shards, GiveBackTheLatentsOfImagesWhereThereAreAny) {
  const test::Folder folder;
  ShardWriter writer(folder.path(), 2);
  for (const auto& first : {std::vector{true, true}, {false, false}, {false, true}}) writer.add(with_latents(4, first));
  writer.finish();
  const ShardDataset dataset(folder.path());
  EXPECT_TRUE(at::equal(dataset.get(0).images.latents, with_latents(4, {true, true}).images.latents));
  EXPECT_FALSE(dataset.get(1).images.latents.defined());
  EXPECT_EQ(dataset.get(2).images.shown.first, (std::vector{false, true}));
  EXPECT_TRUE(dataset.images().some_single);
  EXPECT_EQ(dataset.images().embedding, 0);
}

TEST(Shards, WrongImagesAreRefused) {
  const test::Folder folder;
  ShardWriter writer(folder.path(), 8);
  writer.add(with_condition(1));
  const auto error = [&](const std::function<void(Sample&)>& change) {
    Sample sample = with_condition(2);
    change(sample);
    return test::error_of([&] { writer.add(sample); });
  };
  const auto expect = [](const std::string& found, const char* text) {
    EXPECT_NE(found.find(text), std::string::npos) << found;
  };
  expect(error([](Sample& sample) { sample.images = {}; }), "images in form none, those before in form condition");
  expect(error([](Sample& sample) { sample.images.embeddings.clear(); }), "others have none");
  expect(error([](Sample& sample) { sample.images.shown.first[1] = false; }), "shot 2 shows its last frame and not");
  expect(error([](Sample& sample) { sample.images.embeddings[1] = at::Tensor(); }),
         "shot 2 has an image without embeddings");
  expect(error([](Sample& sample) {
           sample.images.condition = at::zeros({4, 4, 2, 3});
         }),
         "the latents of its images are [4, 4, 2, 3], expected [4, 5, 2, 3]");
  expect(error([](Sample& sample) { sample.images.shown.last.pop_back(); }), "images of 2 and 1 shots, expected 2");
}

TEST(Shards, MissingTensorsOfImagesAreNamed) {
  const test::Folder folder;
  const at::Tensor latent = at::zeros({2, 3, 1, 1});
  const auto error = [&](const TensorMap& more, const std::string& images) {
    TensorMap tensors = more;
    tensors["latent.0"] = latent;
    save_safetensors(folder / "shard-00000.safetensors", tensors,
                     {{"samples", R"([{"captions": ["a"], "shot_frames": [3], "images": {)" + images + "}}]"}});
    return test::error_of([&] { ShardDataset{folder.path()}; });
  };
  const std::string condition = R"("form": "condition", "first": [true], "last": [false], "embeddings": false)";
  EXPECT_EQ(error({{"condition.0", latent}}, condition), "");
  EXPECT_NE(error({}, condition).find("holds 1 tensors, the metadata lists 1 samples"), std::string::npos);
  EXPECT_NE(error({{"given.0", latent}}, condition).find("tensor condition.0 is missing"), std::string::npos);
  EXPECT_NE(error({{"condition.0", latent[0]}}, condition).find("condition.0 is float32 [3, 1, 1], expected float32"),
            std::string::npos);
  EXPECT_NE(error({}, R"("form": "sketch")").find("'sketch' is not one of none, condition, latents"),
            std::string::npos);
}

TEST(Shards, AllHaveImagesInTheSameForm) {
  const test::Folder folder;
  write_shard(shard_path(folder.path(), 0), {with_condition(1)});
  write_shard(shard_path(folder.path(), 1), {with_latents(1, {true, false})});
  EXPECT_NE(test::error_of([&] {
              ShardDataset{folder.path()};
            }).find("shard-00001.safetensors: images in form latents, those of the shards before in form condition"),
            std::string::npos);
}

TEST(Shards, AMissingShardIsNoticed) {
  const auto error_without = [](const char* shard) {
    const test::Folder folder;
    ShardWriter writer(folder.path(), 2);
    for (int64_t i = 0; i < 5; ++i) writer.add(sample_of(i, {2}));
    writer.finish();
    std::filesystem::remove(folder / shard);
    return test::error_of([&] { ShardDataset{folder.path()}; });
  };
  EXPECT_NE(error_without("shard-00000.safetensors").find("shard-00000.safetensors is missing"), std::string::npos);
  EXPECT_NE(error_without("shard-00001.safetensors").find("shard-00001.safetensors is missing"), std::string::npos);
  EXPECT_NE(error_without("shard-00002.safetensors").find("has 2 shards, dataset.json says 3"), std::string::npos);
  EXPECT_EQ(error_without("dataset.json"), "");  // made before there was one
}

TEST(Shards, WrongSamplesAreRefused) {
  test::Folder folder;
  ShardWriter writer(folder.path(), 2);
  Sample sample = sample_of(1, {3, 2});
  sample.shot_frames = {3, 3};
  EXPECT_NE(test::error_of([&] { writer.add(sample); }).find("have 6 latent frames, the latent has 5"),
            std::string::npos);
  sample.shot_frames = {7, -2};
  EXPECT_NE(test::error_of([&] {
              writer.add(sample);
            }).find("shard-00000.safetensors: latent.0: a shot has 7 latent frames, expected 1 to the 5"),
            std::string::npos);
  sample.shot_frames = {5};
  EXPECT_NE(test::error_of([&] { writer.add(sample); }).find("captions for 2 shots, shot_frames for 1"),
            std::string::npos);
}

TEST(Shards, ForeignFilesAreNamed) {
  test::Folder folder;
  EXPECT_NE(test::error_of([&] { ShardDataset{folder.path()}; }).find("no samples"), std::string::npos);
  save_safetensors(folder / "shard-00000.safetensors", {{"weight", at::zeros({2})}});
  EXPECT_NE(test::error_of([&] { ShardDataset{folder.path()}; }).find("shard-00000.safetensors: not a latent shard"),
            std::string::npos);
  save_safetensors(folder / "shard-00000.safetensors", {{"latent.0", at::zeros({2, 3, 1, 1})}},
                   {{"samples", R"([{"captions": ["a"], "shot_frames": [4]}])"}});
  EXPECT_NE(
      test::error_of([&] { ShardDataset{folder.path()}; }).find("a shot has 4 latent frames, expected 1 to the 3"),
      std::string::npos);
  EXPECT_NE(test::error_of([&] { ShardDataset{folder / "none"}; }).find("none: no such folder"), std::string::npos);
}

TEST(Shards, MetadataAndTensorsMustAgree) {
  test::Folder folder;
  const auto error = [&](const TensorMap& tensors, const std::string& samples) {
    save_safetensors(folder / "shard-00000.safetensors", tensors, {{"samples", samples}});
    return test::error_of([&] { ShardDataset{folder.path()}; });
  };
  const at::Tensor latent = at::zeros({2, 3, 1, 1});
  const std::string one = R"([{"captions": ["a"], "shot_frames": [3]}])";
  EXPECT_EQ(error({{"latent.0", latent}}, one), "");
  EXPECT_NE(error({{"latent.0", latent.to(at::kInt)}}, one).find("latent.0: the latent is Int, expected float32"),
            std::string::npos);
  EXPECT_NE(error({{"latent.0", latent}, {"latent.1", latent}}, one).find("holds 2 tensors, the metadata lists 1"),
            std::string::npos);
  EXPECT_NE(error({{"latent.1", latent}}, one).find("tensor latent.0 is missing, found latent.1"), std::string::npos);
  EXPECT_NE(error({{"latent.0", latent}}, "3").find("\"samples\" is a JSON number, expected a list"),
            std::string::npos);
  EXPECT_NE(error({{"latent.0", latent}}, R"([{"captions": ["a"]}])").find("shot_frames"), std::string::npos);
}

TEST(Shards, AFolderWithShardsIsNotWrittenOver) {
  test::Folder folder;
  ShardWriter writer(folder.path(), 1);
  writer.add(sample_of(1, {2}));
  EXPECT_NE(test::error_of([&] { ShardWriter{folder.path(), 1}; }).find("already holds shards"), std::string::npos);
}

}  // namespace
}  // namespace moga
