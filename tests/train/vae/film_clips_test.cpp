// Clips of prepared films, and training of a VAE on them.
#include "moga/train/vae/film_clips.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "moga/core/log.h"
#include "moga/train/vae/task.h"
#include "tests/support/error.h"
#include "tests/train/prepared.h"

namespace moga {
namespace {

FilmClips::Source source_of(const PreparedFilms& films) {
  return {.samples = films.samples, .fps = films.fps, .seed = 3, .purpose = "test", .clips = 2, .frames = 5};
}

TEST(FilmClips, AreFramesOfASampleWhereALatentFrameMayBegin) {
  const test::Folder folder;
  const PreparedFilms films = read_prepared_films(test::prepared_folder(folder));
  ASSERT_EQ(films.samples.size(), 1u);
  ASSERT_EQ(films.held_out.size(), 1u);
  FilmClips clips(source_of(films), at::kCPU);
  clips.advance(2);
  const at::Tensor all = sample_frames(films.samples[0], 0, 33, films.fps).to(at::kFloat).mul(2.0 / 255).sub(1);
  for (const int64_t item : {0, 1}) {
    const at::Tensor found = clips.whole(item, 1, 5).video[0].transpose(0, 1);
    bool any = false;
    for (int64_t first = 0; first + 5 <= 33; first += 4) any = any || at::allclose(found, all.narrow(0, first, 5));
    EXPECT_TRUE(any) << item;
  }
  EXPECT_EQ(clips.draw({2, 5, 32, 16}, at::detail::createCPUGenerator(1)).video.sizes(),
            (at::IntArrayRef{2, 3, 5, 32, 16}));
}

TEST(FilmClips, FollowFromTheCountAlone) {
  const test::Folder folder;
  const PreparedFilms films = read_prepared_films(test::prepared_folder(folder));
  FilmClips one(source_of(films), at::kCPU), other(source_of(films), at::kCPU);
  for (int64_t drawn = 2; drawn <= 7; ++drawn) one.advance(drawn);
  other.advance(7);  // as after a resume
  EXPECT_TRUE(at::equal(one.whole(0, 2, 5).video, other.whole(0, 2, 5).video));
  other.advance(8);
  EXPECT_FALSE(at::equal(one.whole(0, 2, 5).video, other.whole(0, 2, 5).video));
}

VaeTrainConfig film_config(const test::Folder& folder, const std::string& run) {
  set_quiet(true);
  VaeTrainConfig config;
  config.out = (folder / run).string();
  config.data = (folder / "films").string();
  config.device = "cpu";
  config.steps = 4;
  config.batch = 2;
  config.frames = 5;
  config.crop = 32;
  config.pool = 2;
  config.renew_every = 1;
  config.statistics_clips = 2;
  config.log_every = 1;
  config.sample_every = 4;
  config.model.base_dim = 8;
  config.model.z_dim = 4;
  config.model.dim_mult = {1, 1, 2, 2};
  config.model.num_res_blocks = 1;
  return config;
}

TEST(FilmClips, AVaeTrainedOnThemResumesToTheSameModel) {
  const test::Folder folder;
  test::prepared_folder(folder);
  ASSERT_EQ(train_vae(film_config(folder, "whole")), TrainEnd::done);
  const VaeTrainConfig config = film_config(folder, "parts");
  {
    VaeTask task(config);
    ASSERT_EQ(Trainer(task, loop_config(config)).run(2), TrainEnd::interrupted);
  }
  ASSERT_EQ(train_vae(config, "auto"), TrainEnd::done);
  for (const char* file : {"model/config.json", "model/diffusion_pytorch_model.safetensors"})
    EXPECT_EQ(read_text(folder / "parts" / file), read_text(folder / "whole" / file)) << file;
  const std::string log = read_text(folder / "whole/log.jsonl");
  EXPECT_NE(log.find("held_out_psnr"), std::string::npos);
  EXPECT_EQ(log.find("held_out_head_psnr"), std::string::npos);  // nobody knows where heads are
}

TEST(FilmClips, SayWhatDoesNotFit) {
  const test::Folder folder;
  EXPECT_NE(
      test::error_of([&] { train_vae(film_config(folder, "run")); }).find("has no prepare.toml, expected a folder"),
      std::string::npos);
  test::prepared_folder(folder);
  VaeTrainConfig config = film_config(folder, "run");
  config.crop = 64;
  EXPECT_NE(test::error_of([&] { train_vae(config); }).find("crop = 64, expected at most 48, the smallest side"),
            std::string::npos);
  config.crop = 32;
  config.frames = 37;
  EXPECT_NE(test::error_of([&] { train_vae(config); }).find("frames = 37, but the longest of 1 samples has 33"),
            std::string::npos);
}

}  // namespace
}  // namespace moga
