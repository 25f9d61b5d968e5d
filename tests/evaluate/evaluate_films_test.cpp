// Whole evaluations with tiny models: against transformers and VBench's formulas, with what is missing, and with films
// that cannot be read.
#include "moga/evaluate/evaluate_films.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>

#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/core/safetensors.h"
#include "moga/data/video/film.h"
#include "moga/data/video/video.h"
#include "moga/evaluate/film_report.h"
#include "tests/data/films/made_film.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

namespace fs = std::filesystem;
const fs::path kFilmFixtures = MOGA_FILM_FIXTURES;

FilmsEvaluationConfig config_of(const fs::path& film) {
  set_quiet(true);
  FilmsEvaluationConfig config;
  config.films = {film.string()};
  config.models = (kFilmFixtures / "models").string();
  config.device = "cpu";
  return config;
}

// Three shots of 16 frames each: cuts at 16 and 32.
void write_three_shots(const fs::path& path) {
  std::vector<at::Tensor> frames;
  for (uint64_t seed = 1; seed <= 3; ++seed) frames = test::joined(frames, test::pan(test::scene(seed), 16, 2));
  test::write_film(path, frames);
}

constexpr const char* kScript = R"(size = [320, 176]
[[shot]]
caption = "Mara waves at the lake."
frames = 16
[[shot]]
caption = "a wide shot, the camera pans"
frames = 16
[[shot]]
caption = "it's night"
frames = 16
)";

TEST(FilmModels, EqualTransformersOnFrames) {
  FilmModels models = load_film_models(kFilmFixtures / "models", at::kCPU);
  const Safetensors file(kFilmFixtures / "films.safetensors");
  const at::Tensor frames = file.load("frames");
  const auto unit = [&](const char* name) {
    const at::Tensor rows = file.load(name);
    return rows / rows.norm(2, {1}, true);
  };
  EXPECT_TRUE(test::close(models.dino_features(frames), unit("dino.features"), 1e-5));
  EXPECT_TRUE(test::close(models.clip_features(frames), unit("clip.features"), 1e-5));
  EXPECT_TRUE(test::close(models.dinov2_features(frames), unit("dinov2.features"), 1e-5));
  EXPECT_TRUE(test::close(models.aesthetic_scores(models.clip_large_features(frames)), file.load("aesthetic"), 1e-5));
  const auto captions =
      nlohmann::json::parse(file.metadata().at("numbers"))["captions"].get<std::vector<std::string>>();
  std::vector<int64_t> cut;
  EXPECT_TRUE(test::close(models.text_features(captions, &cut), unit("clip.texts"), 1e-5));
  EXPECT_EQ(cut, (std::vector<int64_t>{3}));
}

// The numbers of a film are those of VBench's formulas on the frames that the reader gives.
TEST(EvaluateFilms, FramesFromAFileGiveTheFormulas) {
  const test::Folder folder;
  write_three_shots(folder / "film.mp4");
  FilmsEvaluationConfig config = config_of(folder / "film.mp4");
  config.batch = 7;
  const FilmResult film = evaluate_films(config).films.at(0);
  const auto reader = open_film(folder / "film.mp4", {.width = 320, .height = 176});
  const at::Tensor frames = sampled(*reader, 0, 48, 16);
  FilmModels models = load_film_models(config.models, at::kCPU);
  Consistency subject;
  for (const at::Tensor& feature : models.dino_features(frames).unbind()) subject.add(feature, 0);
  EXPECT_EQ(film.frames, 48);
  EXPECT_NEAR(*film.scores.subject, *subject.film(), 1e-5);
  const at::Tensor aesthetic = models.aesthetic_scores(models.clip_large_features(frames));
  EXPECT_NEAR(*film.scores.aesthetic, aesthetic.mean().item<double>(), 1e-5);
  EXPECT_NEAR(*film.one_frame.aesthetic, aesthetic[0].item<double>(), 1e-5);
  EXPECT_EQ(*film.one_frame.subject, 1.0);
}

TEST(EvaluateFilms, AScriptGivesCaptionsAndCuts) {
  const test::Folder folder;
  write_three_shots(folder / "film.mp4");
  write_text(folder / "film.toml", kScript);
  FilmsEvaluationConfig config = config_of(folder / "film.mp4");
  config.scripts = {(folder / "film.toml").string()};
  const FilmResult film = evaluate_films(config).films.at(0);
  // Of three shots of 16 frames `generate` would make 17, 16 and 16.
  ASSERT_EQ(film.shots.size(), 3u);
  EXPECT_EQ(film.shots[1].first_frame, 17);
  EXPECT_EQ(film.shots[2].caption, "it's night");
  ASSERT_TRUE(film.cuts);
  EXPECT_EQ(film.cuts_found, (std::vector<int64_t>{16, 32}));
  EXPECT_EQ(*film.cuts->deviation, 1.0);
  EXPECT_NEAR(film.cuts->accuracy, std::exp(-2.0 / 48), 1e-12);
  EXPECT_TRUE(film.scores.text && film.shuffled.text && film.one_frame.text);
  EXPECT_TRUE(film.scores.cross_clip && film.scores.cross_dino);
}

TEST(EvaluateFilms, AListGivesCutFramesAndTheFilmThatCannotBeReadIsNamed) {
  const test::Folder folder;
  write_three_shots(folder / "film.mp4");
  write_text(folder / "broken.mp4", "not a film");
  write_text(folder / "films.json", R"([{"path": "broken.mp4", "caption": "a hat"},
      {"path": "film.mp4", "shot_captions": ["a", "b", "c"], "shot_cut_frames": [16, 32]}])");
  FilmsEvaluationConfig config = config_of(folder / "films.json");
  config.out = (folder / "out").string();
  const FilmsEvaluation evaluation = evaluate_films(config);
  EXPECT_NE(evaluation.films.at(0).problem.find("broken.mp4"), std::string::npos);
  EXPECT_EQ(evaluation.films.at(1).cuts->accuracy, 1.0);
  const auto json = nlohmann::json::parse(read_text(folder / "out/films.json"));
  EXPECT_EQ(json["films"][1]["cuts"]["found"], (std::vector<int64_t>{16, 32}));
  EXPECT_EQ(json["films"][1]["shots"][2]["caption"], "c");
  EXPECT_TRUE(json["films"][0].contains("problem"));
  const std::string csv = read_text(folder / "out/films.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 3);
  EXPECT_NE(film_table(evaluation).find("not measured"), std::string::npos);
}

TEST(EvaluateFilms, WithoutModelsCutsAreMeasuredAndEveryModelIsNamed) {
  const test::Folder folder;
  write_three_shots(folder / "film.mp4");
  write_text(folder / "film.toml", kScript);
  FilmsEvaluationConfig config = config_of(folder / "film.mp4");
  config.scripts = {(folder / "film.toml").string()};
  config.models = (folder / "none").string();
  const FilmsEvaluation evaluation = evaluate_films(config);
  EXPECT_TRUE(evaluation.films.at(0).cuts);
  EXPECT_FALSE(evaluation.films.at(0).scores.subject);
  ASSERT_EQ(evaluation.missing.size(), 5u);
  EXPECT_NE(evaluation.missing[0].find("https://huggingface.co/facebook/dino-vitb16"), std::string::npos);
}

TEST(EvaluateFilms, MeansOverFilmsWeightFramesAsVBench) {
  FilmsEvaluation evaluation;
  for (const auto& [sum, frames, aesthetic] : {std::tuple{9.0, 10, 0.5}, std::tuple{10.0, 30, 0.7}}) {
    FilmResult film;
    film.scores.subject = sum / frames;
    film.scores.aesthetic = aesthetic;
    film.subject_sum = sum;
    film.consistency_frames = frames;
    film.clip_means = at::eye(2, at::kDouble).narrow(0, evaluation.films.empty() ? 0 : 1, 1);
    evaluation.films.push_back(film);
  }
  update_means(evaluation);
  EXPECT_NEAR(*evaluation.all.subject, 19.0 / 40, 1e-12);
  EXPECT_NEAR(*evaluation.all.aesthetic, 0.6, 1e-12);
  EXPECT_NEAR(*evaluation.other_films.cross_clip, 0.0, 1e-12);
  EXPECT_FALSE(evaluation.all.text);
}

TEST(EvaluateFilms, WrongRequestsAreOneLine) {
  const test::Folder folder;
  write_text(folder / "broken.mp4", "not a film");
  FilmsEvaluationConfig config = config_of(folder / "broken.mp4");
  EXPECT_NE(test::error_of([&] { evaluate_films(config); }).find("broken.mp4"), std::string::npos);
  write_text(folder / "a.toml", kScript);
  config.scripts = {(folder / "a.toml").string(), (folder / "a.toml").string()};
  EXPECT_EQ(test::error_of([&] { evaluate_films(config); }),
            "2 scripts and 1 films: give one script for all films, or one per film");
  config.films = {(folder / "absent.mp4").string()};
  config.scripts.clear();
  EXPECT_NE(test::error_of([&] { evaluate_films(config); }).find("absent.mp4"), std::string::npos);
}

}  // namespace
}  // namespace moga
