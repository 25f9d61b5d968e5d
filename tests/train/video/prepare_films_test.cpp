// Films on disk become shards that training reads, and an interrupted run gives the same bytes as one that was not.
#include "moga/train/video/prepare_films.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/dataset/shards.h"
#include "moga/data/films/stages.h"
#include "moga/data/video/video.h"
#include "moga/model/vae/vae.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"
#include "tests/train/vae/tiny_vae.h"

namespace moga {
namespace {

// Two films of 2 s at 24 fps with captions, the second with a cut in its middle, and a file that is no film.
FilmsConfig tiny_films(const test::Folder& folder) {
  set_quiet(true);
  test::save_tiny_vae(folder / "vae", 4);
  for (const int film : {0, 1}) {
    const std::string name = std::string("films/") + (film == 0 ? "a" : "b");
    std::filesystem::create_directories(folder / "films");
    write_text(folder / (name + ".txt"), "A picture.");
    const auto writer = make_video_writer(folder / (name + ".mp4"), 96, 64, 24);
    const at::Tensor x = at::arange(96).view({1, 1, 96}), y = at::arange(64).view({1, 64, 1});
    for (int i = 0; i < 48; ++i)
      writer->write((film == 1 && i >= 24 ? 255 - 3 * y + at::zeros({3, 64, 96}) : 2 * x + y + at::zeros({3, 64, 96}))
                        .clamp(0, 255)
                        .to(at::kByte));
    writer->finish();
  }
  write_text(folder / "films/c.mp4", "no film");
  FilmsConfig config;
  config.input = (folder / "films").string();
  config.out = (folder / "out").string();
  config.score = {.max_still = 1, .min_sharpness = 0};  // the pictures are smooth and stand still
  config.merge = {.min_seconds = 0.5, .min_shot_seconds = 0.25, .area = 96 * 64, .aspects = {"3:2"}};
  config.encode.vae = (folder / "vae").string();
  config.encode.device = "cpu";
  config.encode.samples_a_shard = 1;
  return config;
}

TEST(PrepareFilms, GivesTheLatentsOfTheRetimedFrames) {
  const test::Folder folder;
  const FilmsConfig config = tiny_films(folder);
  prepare_films(config, {});
  const ShardDataset shards(folder / "out/shards");
  ASSERT_EQ(shards.size(), 2);
  EXPECT_EQ(shards.get(0).shot_frames, std::vector<int64_t>{8});
  EXPECT_EQ(shards.get(1).shot_frames, (std::vector<int64_t>{4, 4}));  // 1 + 3·4 and 4·4 of 16 frames each
  EXPECT_EQ(shards.get(1).captions, (std::vector<std::string>{"A picture.", "A picture."}));
  // 2 s at 16 fps: frames 0, 1, 3, 4, 6, … of 24 fps; 29 of them are 8 latent frames.
  const at::Tensor frames = open_video(folder / "films/a.mp4")->read(48);
  std::vector<at::Tensor> shown;
  for (int64_t i = 0; i < 29; ++i) shown.push_back(frames[i * 24 / 16]);
  at::NoGradGuard no_grad;
  const at::Tensor expected =
      load_vae(config.encode.vae, at::kCPU, at::kFloat)->encode(to_float(at::stack(shown)).unsqueeze(0))[0];
  EXPECT_TRUE(test::close(shards.get(0).latent.to(at::kFloat), expected, 2e-2));  // colour conversion, bfloat16
  EXPECT_NE(read_text(folder / "out/probe.jsonl").find("not a video that FFmpeg can read"), std::string::npos);
}

std::string bytes_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().filename() != "prepare.toml") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::string all;
  for (const auto& file : files) all += file.lexically_relative(folder).string() + read_text(file);
  return all;
}

TEST(PrepareFilms, ContinuesWithTheSameBytes) {
  const test::Folder folder;
  FilmsConfig config = tiny_films(folder);
  prepare_films(config, {});
  const std::string whole = bytes_of(config.out);
  config.out = (folder / "again").string();
  prepare_films(config, {.dry_run = true});
  set_interrupted(true);
  EXPECT_THROW(encode_films(config, stage_records(config, FilmStage::kMerge)), Interrupted);
  set_interrupted(false);
  EXPECT_FALSE(std::filesystem::exists(folder / "again/shards"));
  prepare_films(config, {});
  EXPECT_EQ(bytes_of(config.out), whole);
  prepare_films(config, {});  // nothing to do
  EXPECT_EQ(bytes_of(config.out), whole);
}

// Images are drawn by the sample's name, so that a run that goes on draws the same.
TEST(PrepareFilms, StoresImagesAndContinuesWithTheSameBytes) {
  const test::Folder folder;
  FilmsConfig config = tiny_films(folder);
  config.images = {.form = ImageForm::kCondition, .share = 0.5, .last = 0.5};
  prepare_films(config, {});
  const std::string whole = bytes_of(folder / "out/shards");
  EXPECT_EQ(ShardDataset(folder / "out/shards").images().form, ImageForm::kCondition);
  std::filesystem::create_directories(folder / "out/shards.partial");
  std::filesystem::rename(folder / "out/shards/shard-00000.safetensors",
                          folder / "out/shards.partial/shard-00000.safetensors");
  std::filesystem::remove_all(folder / "out/shards");  // as after a kill
  prepare_films(config, {});
  EXPECT_EQ(bytes_of(folder / "out/shards"), whole);
  config.images.form = ImageForm::kLatents;
  config.images.last = 0;
  prepare_films(config, {});  // other settings: encoded again
  EXPECT_EQ(ShardDataset(folder / "out/shards").images().form, ImageForm::kLatents);
}

TEST(PrepareFilms, EncodesTheSameBytesWithAnyNumberOfReaders) {
  const test::Folder folder;
  FilmsConfig config = tiny_films(folder);
  config.merge.max_seconds = 0.6;
  config.encode.samples_a_shard = 4;
  std::vector<std::string> bytes;
  for (const int64_t readers : {1, 4}) {
    config.out = (folder / ("out" + std::to_string(readers))).string();
    config.encode.readers = readers;
    prepare_films(config, {});
    EXPECT_GE(ShardDataset(folder / ("out" + std::to_string(readers)) / "shards").size(), 6);
    bytes.push_back(bytes_of(config.out));
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

// A file that changed after it was probed, the first of two in one shard.
TEST(PrepareFilms, DropsAFilmThatBrokeAndEncodesTheOthersInOrder) {
  const test::Folder folder;
  FilmsConfig config = tiny_films(folder);
  config.merge.max_seconds = 0.6;
  config.encode.samples_a_shard = 64;
  config.encode.readers = 3;
  prepare_films(config, {.dry_run = true});
  write_text(folder / "films/a.mp4", "no film any more");
  const std::vector<Record> samples = stage_records(config, FilmStage::kMerge);
  const std::vector<Record> encoded = encode_films(config, samples);
  int64_t place = 0;
  for (const Record& line : encoded) {
    const bool broke = line.at("sample").get<std::string>().starts_with("00000");
    EXPECT_EQ(is_dropped(line), broke) << line.dump();
    if (broke)
      EXPECT_NE(line.at("dropped").get<std::string>().find("a.mp4: not a video"), std::string::npos) << line.dump();
    else
      EXPECT_EQ(line.at("place"), place++);
  }
  EXPECT_EQ(ShardDataset(folder / "out/shards").size(), place);
}

TEST(PrepareFilms, HoldsFilmsOutAndObeysTheManifest) {
  const test::Folder folder;
  FilmsConfig config = tiny_films(folder);
  config.encode.held_out = 1;
  prepare_films(config, {});
  EXPECT_EQ(ShardDataset(folder / "out/shards").size(), 1);
  EXPECT_EQ(ShardDataset(folder / "out/held_out").size(), 1);
  config.encode.held_out = 0;
  std::string samples = read_text(folder / "out/merge.jsonl");
  samples.insert(1, "\"dropped\":\"by hand\",");
  write_text(folder / "out/merge.jsonl", samples);
  prepare_films(config, {.stage = FilmStage::kEncode});
  EXPECT_EQ(ShardDataset(folder / "out/shards").size(), 1);
}

// Wan2.2-TI2V-5B: strides of 16 and patches of 2.
TEST(PrepareFilms, TakesSizesFromItsModels) {
  const test::Folder folder;
  FilmsConfig config = tiny_films(folder);
  const std::filesystem::path model = folder / "5b";
  write_text(model / "vae/config.json",
             R"({"_class_name": "AutoencoderKLWan", "base_dim": 4, "decoder_base_dim": 2, "z_dim": 4,
    "dim_mult": [1, 2, 4, 4], "num_res_blocks": 1, "attn_scales": [], "temperal_downsample": [false, true, true],
    "is_residual": true, "in_channels": 12, "out_channels": 12, "patch_size": 2, "scale_factor_temporal": 4,
    "scale_factor_spatial": 16, "latents_mean": [0, 0, 0, 0], "latents_std": [1, 1, 1, 1]})");
  write_text(model / "transformer/config.json", R"({"_class_name": "WanTransformer3DModel", "patch_size": [1, 2, 2],
    "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 4, "out_channels": 4, "num_layers": 2,
    "ffn_dim": 32, "freq_dim": 16, "text_dim": 16})");
  config.encode.vae = (model / "vae").string();
  config.merge.area = 88 * 60;
  prepare_films(config, {.dry_run = true});
  const auto samples = stage_records(config, FilmStage::kMerge);
  EXPECT_EQ(samples.at(0).at("width"), 96);
  EXPECT_EQ(samples.at(0).at("height"), 64);
  config.merge.multiple = 16;
  EXPECT_EQ(test::error_of([&] { prepare_films(config, {.dry_run = true}); }),
            "merge.multiple is 16, the models of " + config.encode.vae + " need multiples of 32");
}

TEST(PrepareFilms, NamesWhatIsMissing) {
  const test::Folder folder;
  FilmsConfig config = tiny_films(folder);
  EXPECT_NE(test::error_of([&] { prepare_films(config, {.stage = FilmStage::kCut}); }).find("run stage probe first"),
            std::string::npos);
  config.encode.vae.clear();
  EXPECT_NE(test::error_of([&] { prepare_films(config, {}); }).find("encode.vae is empty"), std::string::npos);
}

}  // namespace
}  // namespace moga
