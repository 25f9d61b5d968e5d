// What scripts and lists say about a film's shots.
#include "moga/evaluate/expected_shots.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/data/video/video.h"
#include "moga/pipeline/film_tags.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

Script script_of(const std::vector<int64_t>& frames) {
  Script script;
  for (const int64_t count : frames) script.shot.push_back({.caption = "shot", .duration = {}, .frames = count});
  return script;
}

// Latent frames 9, 8, 8: the second shot begins at pixel frame 1 + 4 * 8.
TEST(ExpectedShots, CutsOfAScriptAreThoseOfGenerate) {
  const ExpectedShots shots = shots_of_script(script_of({32, 32, 32}), 16, "film.toml");
  EXPECT_EQ(*shots.cuts, (std::vector<int64_t>{33, 65}));
  EXPECT_EQ(shots.captions.size(), 3u);
  EXPECT_EQ(shots.source, "film.toml");
  EXPECT_TRUE(shots_of_script(script_of({32}), 16, "film.toml").cuts->empty());
}

TEST(ExpectedShots, CutsKeepTheirTimesAtAnotherRate) {
  EXPECT_EQ(*shots_of_script(script_of({32, 32, 32}), 24, "film.toml").cuts, (std::vector<int64_t>{50, 98}));
  EXPECT_EQ(*shots_of_script(script_of({32, 32}), 15.99, "film.toml").cuts, (std::vector<int64_t>{33}));
}

TEST(ExpectedShots, AListMayNameCuts) {
  Source entry;
  EXPECT_EQ(shots_of_list(entry, "films").source, "");
  entry.captions = {"a", "b"};
  entry.cuts = {40};
  EXPECT_EQ(*shots_of_list(entry, "films.json").cuts, (std::vector<int64_t>{40}));
  entry.cuts.clear();
  EXPECT_FALSE(shots_of_list(entry, "films.json").cuts);
  entry.one_shot = true;
  EXPECT_TRUE(shots_of_list(entry, "films.json").cuts->empty());
}

TEST(ExpectedShots, AFilmOfGenerateCarriesItsScript) {
  const test::Folder folder;
  for (const bool tagged : {true, false}) {
    const MediaTags tags = tagged ? film_tags(script_of({8, 8}), "demo", "moga 1") : MediaTags();
    const auto writer = make_video_writer(folder / (tagged ? "a.mp4" : "b.mp4"), 64, 48, 16, tags);
    writer->write(at::zeros({17, 3, 48, 64}, at::kByte));
    writer->finish();
  }
  const ExpectedShots shots = shots_in_film(folder / "a.mp4", 16);
  EXPECT_EQ(*shots.cuts, (std::vector<int64_t>{9}));
  EXPECT_EQ(shots.captions, (std::vector<std::string>{"shot", "shot"}));
  EXPECT_EQ(shots.source, "the film's own script");
  EXPECT_EQ(shots_in_film(folder / "b.mp4", 16).source, "");
  write_text(folder / "c.mp4", "not a film");
  EXPECT_EQ(shots_in_film(folder / "c.mp4", 16).source, "");
}

}  // namespace
}  // namespace moga
