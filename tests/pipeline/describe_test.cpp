// What a path holds is said without loading it; what is nothing of ours gets one line.
#include "moga/pipeline/describe.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/safetensors.h"
#include "moga/data/shards.h"
#include "moga/data/video.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/error.h"

namespace moga {
namespace {

TEST(Describe, NamesPartsTensorsScriptsAndVideos) {
  test::Folder folder;
  const std::string model = describe(test::tiny_folder());
  for (const char* part : {"a model folder", "transformer: ", "text_encoder: ", "vae: ", "tokenizer: ", "float32"})
    EXPECT_NE(model.find(part), std::string::npos) << model;
  save_safetensors(folder / "a.safetensors", {{"weight", at::zeros({1000, 2}, at::kBFloat16)}}, {{"made", "here"}});
  const std::string tensors = describe(folder / "a.safetensors");
  EXPECT_NE(tensors.find("1 tensor, 2,000 values, bfloat16"), std::string::npos) << tensors;
  EXPECT_NE(tensors.find("weight  bfloat16 [1000, 2]"), std::string::npos) << tensors;
  write_text(folder / "a.toml", "title = \"T\"\nsize = [32, 16]\n[[shot]]\ncaption = \"c\"\nframes = 9\n");
  EXPECT_NE(describe(folder / "a.toml").find("1 shot of 3 latent frames, 9 frames at 16"), std::string::npos);
  const auto writer = make_video_writer(folder / "a.y4m", 32, 16, 8);
  writer->write(at::zeros({2, 3, 16, 32}, at::kByte));
  writer->finish();
  EXPECT_NE(describe(folder / "a.y4m").find("32x16, 8 frames a second, 2 frames"), std::string::npos);
}

TEST(Describe, CountsTheVideosOfLatentShards) {
  test::Folder folder;
  ShardWriter writer(folder.path(), 1);
  for (int64_t i = 0; i < 2; ++i) writer.add({at::zeros({4, 2, 2, 2}), {2}, {"a caption"}});
  writer.finish();
  EXPECT_NE(describe(folder.path()).find(": latent shards of 2 videos\n"), std::string::npos);
}

TEST(Describe, ShowsLongAndForeignMetadataOnOneLineEach) {
  test::Folder folder;
  std::string umlauts;
  for (int i = 0; i < 60; ++i) umlauts += "\u00fc";
  save_safetensors(folder / "a.safetensors", {}, {{"long", umlauts}, {"lines", "one\ntwo"}});
  const std::string text = describe(folder / "a.safetensors");
  EXPECT_NE(text.find(": no tensors\n"), std::string::npos) << text;
  EXPECT_NE(text.find("lines = one two\n"), std::string::npos) << text;
  EXPECT_NE(text.find("long = " + umlauts.substr(0, 76) + "...\n"), std::string::npos) << text;
}

TEST(Describe, SaysWhatAModelFolderLacks) {
  test::Folder folder;
  std::filesystem::copy(test::tiny_folder(), folder.path(), std::filesystem::copy_options::recursive);
  const std::string whole = describe(folder.path());
  EXPECT_NE(whole.find("2 blocks of width 24, moga attention with 3 groups, combined by mean\n"), std::string::npos)
      << whole;
  EXPECT_EQ(whole.find("missing"), std::string::npos) << whole;
  std::filesystem::remove(folder / "vae/diffusion_pytorch_model.safetensors");
  std::filesystem::remove_all(folder / "scheduler");
  write_text(folder / "text_encoder/model.safetensors", "cut");
  const std::string text = describe(folder.path());
  for (const char* line :
       {"missing: scheduler/scheduler_config.json\n", "missing: vae/*.safetensors\n", "text_encoder: cannot be read: "})
    EXPECT_NE(text.find(line), std::string::npos) << text;
}

TEST(Describe, OtherThingsGetOneLine) {
  test::Folder folder;
  EXPECT_THROW(describe(folder / "nothing"), Error);
  EXPECT_THROW(describe(folder.path()), Error);
  write_text(folder / "a.safetensors", "nothing of the kind");
  EXPECT_THROW(describe(folder / "a.safetensors"), Error);
  write_text(folder / "vae.pth", "PK");
  EXPECT_NE(test::error_of([&] { describe(folder / "vae.pth"); }).find("tools/convert_wan.py"), std::string::npos);
}

}  // namespace
}  // namespace moga
