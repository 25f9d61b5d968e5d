// Samples come back from a folder of shards as they were put in; damaged and foreign files are named.
#include "moga/data/shards.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/random.h"
#include "moga/core/safetensors.h"
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

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
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

TEST(Shards, WrongSamplesAreRefused) {
  test::Folder folder;
  ShardWriter writer(folder.path(), 2);
  Sample sample = sample_of(1, {3, 2});
  sample.shot_frames = {3, 3};
  EXPECT_NE(message_of([&] { writer.add(sample); }).find("have 6 latent frames, the latent has 5"), std::string::npos);
  sample.shot_frames = {7, -2};
  EXPECT_NE(message_of([&] { writer.add(sample); }).find("a shot has -2 latent frames"), std::string::npos);
  sample.shot_frames = {5};
  EXPECT_NE(message_of([&] { writer.add(sample); }).find("2 captions for 1 shots"), std::string::npos);
}

TEST(Shards, ForeignFilesAreNamed) {
  test::Folder folder;
  EXPECT_NE(message_of([&] { ShardDataset{folder.path()}; }).find("no shards"), std::string::npos);
  save_safetensors(folder / "shard-00000.safetensors", {{"weight", at::zeros({2})}});
  EXPECT_NE(message_of([&] { ShardDataset{folder.path()}; }).find("shard-00000.safetensors: not a latent shard"),
            std::string::npos);
  save_safetensors(folder / "shard-00000.safetensors", {{"latent.0", at::zeros({2, 3, 1, 1})}},
                   {{"samples", R"([{"captions": ["a"], "shot_frames": [4]}])"}});
  EXPECT_NE(message_of([&] { ShardDataset{folder.path()}; }).find("have 4 latent frames, the latent has 3"),
            std::string::npos);
}

TEST(Shards, AFolderWithShardsIsNotWrittenOver) {
  test::Folder folder;
  ShardWriter writer(folder.path(), 1);
  writer.add(sample_of(1, {2}));
  EXPECT_NE(message_of([&] { ShardWriter{folder.path(), 1}; }).find("already holds shards"), std::string::npos);
}

}  // namespace
}  // namespace moga
