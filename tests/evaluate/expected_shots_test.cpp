// What scripts and lists say about a film's shots.
#include "moga/evaluate/expected_shots.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace moga
