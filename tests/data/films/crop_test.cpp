// Films through stage crop: borders and marks that are found, and films without them that stay whole.
#include "moga/data/films/crop_config.h"

#include <gtest/gtest.h>

#include "moga/core/log.h"
#include "moga/data/films/stages.h"
#include "tests/data/films/made_film.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

using Box = std::vector<int64_t>;

std::vector<at::Tensor> with_borders(std::vector<at::Tensor> frames, int64_t left, int64_t top, int64_t right,
                                     int64_t bottom) {
  for (at::Tensor& frame : frames) {
    frame.slice(2, 0, left).fill_(0);
    frame.slice(1, 0, top).fill_(0);
    frame.slice(2, test::kFilmWidth - right).fill_(0);
    frame.slice(1, test::kFilmHeight - bottom).fill_(0);
  }
  return frames;
}

// A logo of squares in the upper right corner, 56 x 24 pixels at (250, 12).
std::vector<at::Tensor> with_logo(std::vector<at::Tensor> frames) {
  for (at::Tensor& frame : frames)
    for (int64_t y = 12; y < 36; y += 6)
      for (int64_t x = 250; x < 306; x += 8)
        frame.slice(1, y, y + 6).slice(2, x, x + 8).fill_((x / 8 + y / 6) % 2 == 0 ? 250 : 10);
  return frames;
}

struct CropLines {
  std::vector<Record> lines;
  const Record& operator[](size_t i) const { return lines.at(i); }
};

CropLines cropped(const std::vector<std::vector<at::Tensor>>& shots, CropConfig crop = {},
                  const Record& boxes = Record()) {
  set_quiet(true);
  const test::Folder folder;
  std::vector<at::Tensor> frames;
  std::vector<Record> lines;
  for (size_t i = 0; i < shots.size(); ++i) {
    const double start = static_cast<double>(frames.size()) / 16;
    frames = test::joined(frames, shots[i]);
    lines.push_back(test::shot_line(0, static_cast<int64_t>(i), start, static_cast<double>(frames.size()) / 16));
    if (!boxes.is_null()) lines.back()["boxes"] = boxes;
  }
  test::write_film(folder / "film.mp4", frames);
  FilmsConfig config;
  config.out = (folder / "out").string();
  config.crop = crop;
  return {crop_films(config, {test::film_line(0, folder / "film.mp4")}, lines)};
}

TEST(Crop, KeepsAFilmWithoutBorders) {
  const auto lines = cropped({test::pan(test::scene(1), 32, 4), test::pan(test::scene(2), 32, 0)});
  for (const size_t shot : {0, 1}) {
    EXPECT_EQ(lines[shot].at("borders"), (Box{0, 0, 0, 0}));
    EXPECT_EQ(lines[shot].at("crop"), (Box{0, 0, 320, 176}));
    EXPECT_FALSE(is_dropped(lines[shot]));
  }
  EXPECT_FALSE(lines[0].contains("marks"));
  EXPECT_EQ(lines[1].at("marks"), "not known: too little moves");
}

TEST(Crop, CutsOffBlackBorders) {
  const auto wide = cropped({with_borders(test::pan(test::scene(1), 24, 3), 0, 22, 0, 20)});
  const auto borders = wide[0].at("borders").get<Box>();
  EXPECT_EQ(borders[0], 0);
  EXPECT_NEAR(static_cast<double>(borders[1]), 23, 1);
  EXPECT_EQ(borders[2], 0);
  EXPECT_NEAR(static_cast<double>(borders[3]), 21, 1);
  EXPECT_EQ(wide[0].at("crop"), (Box{0, borders[1], 320, 176 - borders[1] - borders[3]}));
  const auto narrow = cropped({with_borders(test::pan(test::scene(3), 24, 3), 40, 0, 42, 0)});
  EXPECT_NEAR(narrow[0].at("borders").at(0).get<double>(), 41, 1);
  EXPECT_NEAR(narrow[0].at("borders").at(2).get<double>(), 43, 1);
}

// A night scene is dark up to its edge: it gets the borders of the film's other shots, or none.
TEST(Crop, TakesADarkEdgeForNoBorder) {
  std::vector<at::Tensor> night;
  const at::Tensor ramp = at::linspace(0, 120, test::kFilmHeight).view({1, -1, 1}) / 140;
  for (const at::Tensor& frame : test::pan(test::scene(4), 24, 3)) night.push_back(frame * ramp * ramp);
  EXPECT_EQ(cropped({night})[0].at("borders"), (Box{0, 0, 0, 0}));
  const auto both =
      cropped({with_borders(test::pan(test::scene(1), 24, 3), 0, 16, 0, 16), with_borders(night, 0, 16, 0, 16)});
  EXPECT_EQ(both[1].at("borders").at(1), both[0].at("borders").at(1));
}

TEST(Crop, AvoidsALogoThatStays) {
  const auto lines = cropped({with_logo(test::pan(test::scene(1), 48, 6))}, {.min_left = 0.4});
  ASSERT_EQ(lines[0].at("marks").size(), 1u) << lines[0].dump();
  const auto box = lines[0].at("marks").at(0).get<Box>();
  EXPECT_LE(box[0], 250);
  EXPECT_LE(box[1], 12);
  EXPECT_GE(box[0] + box[2], 305);
  EXPECT_GE(box[1] + box[3], 36);
  EXPECT_LE(box[2] * box[3], 4 * 56 * 24);
  const auto crop = lines[0].at("crop").get<Box>();
  EXPECT_TRUE(crop[0] + crop[2] <= box[0] || crop[1] >= box[1] + box[3]) << lines[0].dump();
  EXPECT_NEAR(static_cast<double>(crop[2]) / static_cast<double>(crop[3]), 320.0 / 176, 0.03);
  EXPECT_NEAR(lines[0].at("left").get<double>(), static_cast<double>(crop[2] * crop[3]) / (320 * 176), 1e-3);
}

// A part of the scene that stands still can look like a mark: one shot's guess crops, and drops nothing.
TEST(Crop, AGuessFromOneShotDropsNothing) {
  const auto lines = cropped({with_logo(test::pan(test::scene(1), 48, 6))}, {.min_left = 0.9});
  EXPECT_FALSE(is_dropped(lines[0])) << lines[0].dump();
  EXPECT_EQ(lines[0].at("crop"), (Box{0, 0, 320, 176}));
  EXPECT_EQ(lines[0].at("marks"),
            "not used: what stays in this shot alone may belong to its scene, and too little would be left without it");
}

// No shot alone tells: its camera stands still. Over many of them the logo is what stays.
TEST(Crop, FindsALogoOverTheShotsOfAFilm) {
  std::vector<std::vector<at::Tensor>> shots;
  for (uint64_t i = 0; i < 16; ++i) shots.push_back(with_logo(test::pan(test::scene(i), 8, 0)));
  const auto lines = cropped(shots);
  for (size_t i = 0; i < shots.size(); ++i) {
    ASSERT_TRUE(lines[i].at("marks").is_array()) << lines[i].dump();
    EXPECT_EQ(lines[i].at("marks").size(), 1u);
  }
}

TEST(Crop, UsesGivenBoxesAndDropsWhatIsLeftTooSmall) {
  const auto frames = test::pan(test::scene(1), 24, 4);
  const auto lines = cropped({frames}, {}, Record{{10.5, 150, 300, 20}});
  EXPECT_EQ(lines[0].at("marks").at(0), (Box{10, 150, 301, 20}));
  EXPECT_EQ(lines[0].at("crop").at(3), 150);
  const auto small = cropped({frames}, {}, Record{{100, 60, 100, 50}});
  EXPECT_NE(small[0].at("dropped").get<std::string>().find(
                "% of the picture is left without its marks, expected at least 60.0 % (crop.min_left)"),
            std::string::npos);
  const auto black = cropped({std::vector<at::Tensor>(16, at::zeros({3, 176, 320}))});
  EXPECT_FALSE(is_dropped(black[0]));  // its score drops it, not its border
  EXPECT_NE(cropped({frames}, {}, Record{"left"})[0].at("dropped").get<std::string>().find("boxes of shot 0 are"),
            std::string::npos);
}

}  // namespace
}  // namespace moga
