// Films through stage score: what is kept, what is dropped and why, with the numbers.
#include "moga/data/films/score_config.h"

#include <gtest/gtest.h>

#include <sstream>

#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/films/stages.h"
#include "tests/data/films/made_film.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

FilmsConfig config_in(const test::Folder& folder) {
  set_quiet(true);
  FilmsConfig config;
  config.out = (folder / "out").string();
  return config;
}

std::vector<Record> read_lines(const std::string& text) {
  std::istringstream lines(text);
  std::vector<Record> records;
  for (std::string line; std::getline(lines, line);) records.push_back(Record::parse(line));
  return records;
}

std::string reason(const Record& record) { return record.value("dropped", ""); }

// Shots of 2 s each: a pan, a still picture, black, white.
struct FourShots {
  explicit FourShots(const test::Folder& folder) {
    using at::full;
    auto frames = test::joined(test::pan(test::scene(1), 32, 3), test::pan(test::scene(2), 32, 0));
    for (const double level : {2.0, 254.0})
      frames = test::joined(frames, std::vector<at::Tensor>(32, full({3, test::kFilmHeight, test::kFilmWidth}, level)));
    test::write_film(folder / "four.mp4", frames);
    films = {test::film_line(0, folder / "four.mp4")};
    for (int64_t i = 0; i < 4; ++i) shots.push_back(test::shot_line(0, i, 2.0 * i, 2.0 * i + 2));
  }
  std::vector<Record> films, shots;
};

TEST(Score, DropsBlackStaticAndBlankShots) {
  const test::Folder folder;
  const FourShots four(folder);
  const auto lines = score_films(config_in(folder), four.films, four.shots);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(reason(lines[0]), "");
  const Record& scores = lines[0].at("scores");
  EXPECT_EQ(scores.at("scored_frames"), 16);
  // 3 pixels at 16 fps of a picture of 176 lines.
  EXPECT_NEAR(scores.at("motion").get<double>(), 100 * 3 * 16 / 176.0, 3);
  EXPECT_EQ(scores.at("black"), 0.0);
  EXPECT_EQ(reason(lines[1]), "static: part 1 above 0.95 (score.max_still)");
  EXPECT_EQ(reason(lines[2]), "black: part 1 above 0.5 (score.max_black)");
  EXPECT_EQ(reason(lines[3]), "bright: luma 254 above 249 (score.max_luma)");
}

TEST(Score, ObeysItsThresholds) {
  const test::Folder folder;
  const FourShots four(folder);
  FilmsConfig config = config_in(folder);
  config.score.min_motion = 60;
  auto lines = score_films(config, four.films, four.shots);
  EXPECT_EQ(reason(lines[0]).substr(0, 16), "static: motion 2") << reason(lines[0]);
  EXPECT_NE(reason(lines[0]).find(" below 60 (score.min_motion)"), std::string::npos);
  config.score = {.max_still = 1, .max_motion = 10};
  lines = score_films(config, four.films, four.shots);
  EXPECT_NE(reason(lines[0]).find(" above 10 (score.max_motion)"), std::string::npos);
  EXPECT_EQ(reason(lines[1]), "");
  config.score = {.min_sharpness = 1e5};
  EXPECT_EQ(reason(score_films(config, four.films, four.shots)[0]).substr(0, 18), "blurred: sharpness");
  config.score = {.enabled = false};
  EXPECT_TRUE(score_films(config, four.films, four.shots).empty());
  EXPECT_NE(test::error_of([] { ScoreConfig{.max_black = 2}.validate(); }).find("max_black is 2, expected 0 to 1"),
            std::string::npos);
}

TEST(Score, FindsCopiesButNotTheSameRoom) {
  const test::Folder folder;
  const auto room = test::scene(5);
  const auto frames = test::pan(room, 32, 2);
  std::vector<at::Tensor> smaller;
  for (const at::Tensor& frame : frames)
    smaller.push_back(at::upsample_bilinear2d(frame.unsqueeze(0), {96, 176}, false)[0] * 0.95 + 4);
  test::write_film(folder / "a.mp4", frames);
  test::write_film(folder / "b.mp4", smaller);
  test::write_film(folder / "c.mp4", test::pan(room.slice(2, 40), 32, 2));  // the camera stands elsewhere
  test::write_film(folder / "d.mp4", test::pan(room, 40, 2));               // longer
  std::vector<Record> films, shots;
  for (int64_t i = 0; i < 4; ++i) {
    films.push_back(test::film_line(i, folder / (std::string(1, static_cast<char>('a' + i)) + ".mp4")));
    shots.push_back(test::shot_line(i, 0, 0, i == 3 ? 2.5 : 2));
  }
  const FilmsConfig config = config_in(folder);
  const auto lines = score_films(config, films, shots);
  ASSERT_EQ(lines.size(), 5u) << to_lines(lines);
  EXPECT_EQ(lines[4].at("film"), 1);
  EXPECT_EQ(lines[4].at("repeats"), (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(reason(lines[4]).substr(0, 30), "duplicate of shot 0 of film 0:");
}

TEST(Score, KeepsEditsAndContinuesAfterAKill) {
  const test::Folder folder;
  const FourShots four(folder);
  test::write_film(folder / "second.mp4", test::pan(test::scene(9), 32, 2));
  auto films = four.films, shots = four.shots;
  films.push_back(test::film_line(1, folder / "second.mp4"));
  shots.push_back(test::shot_line(1, 0, 0, 2));
  const FilmsConfig config = config_in(folder);
  score_films(config, films, shots);
  const std::filesystem::path path = folder / "out/score.jsonl";
  const std::string whole = read_text(path);
  std::filesystem::remove(path);
  // As a kill leaves it: the first film's lines in .partial, and a line that was cut short.
  Record group = {{"from", ""}, {"records", Record::array()}};
  for (const Record& record : read_lines(whole))
    if (record.at("film") == 0) group["from"] = record.at("from"), group["records"].push_back(record);
  write_text(folder / "out/score.jsonl.partial", group.dump() + "\n{\"from\":\"00");
  score_films(config, films, shots);
  EXPECT_EQ(read_text(path), whole);
  std::string edited = whole;
  edited.replace(edited.find("\"dropped\""), 9, "\"was\"");
  write_text(path, edited);
  const auto lines = score_films(config, films, shots);
  EXPECT_EQ(read_text(path), edited);
  EXPECT_FALSE(is_dropped(lines[1]));
}

}  // namespace
}  // namespace moga
