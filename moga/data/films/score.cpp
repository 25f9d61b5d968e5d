// Stage score: numbers of each shot, and which shots are dropped for them. See stages.h, picture_scores.h.
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/format.h"
#include "moga/core/log.h"
#include "moga/data/films/duplicates.h"
#include "moga/data/films/picture_scores.h"
#include "moga/data/films/shots.h"
#include "moga/data/films/stages.h"

namespace moga {
namespace {

constexpr double kRounding = 1e-4;  // of times, in seconds

double rounded(double value) { return std::round(value * 1000) / 1000; }

// A shot while its film is read.
struct Scored {
  ShotScores scores;
  std::vector<double> hash_times;
  std::vector<uint64_t> hashes;
  double next = 0;  // time of the next frame that is scored
};

Record numbers(const Scored& shot) {
  const ShotScores& scores = shot.scores;
  Record hashes = Record::array();
  for (const uint64_t hash : shot.hashes) hashes.push_back(formatted("%016lx", hash));
  return {{"luma", rounded(scores.luma())},
          {"dark", rounded(scores.dark())},
          {"bright", rounded(scores.bright())},
          {"black", rounded(scores.black())},
          {"longest_black", rounded(scores.longest_black())},
          {"sharpness", rounded(scores.sharpness())},
          {"motion", rounded(scores.motion())},
          {"still", rounded(scores.still())},
          {"longest_still", rounded(scores.longest_still())},
          {"scored_frames", scores.frames()},
          {"hashes", hashes}};
}

// Why a shot is dropped; empty: it is kept.
std::string problem_of(const ShotScores& scores, const ScoreConfig& config) {
  const auto below = [](const char* what, double value, double limit, const char* key) {
    return formatted("%s %.3g below %.3g (score.%s)", what, value, limit, key);
  };
  const auto above = [](const char* what, double value, double limit, const char* key) {
    return formatted("%s %.3g above %.3g (score.%s)", what, value, limit, key);
  };
  if (scores.black() > config.max_black) return above("black: part", scores.black(), config.max_black, "max_black");
  if (scores.luma() < config.min_luma) return below("dark: luma", scores.luma(), config.min_luma, "min_luma");
  if (scores.luma() > config.max_luma) return above("bright: luma", scores.luma(), config.max_luma, "max_luma");
  if (scores.still() > config.max_still) return above("static: part", scores.still(), config.max_still, "max_still");
  if (scores.motion() < config.min_motion)
    return below("static: motion", scores.motion(), config.min_motion, "min_motion");
  if (config.max_motion > 0 && scores.motion() > config.max_motion)
    return above("restless: motion", scores.motion(), config.max_motion, "max_motion");
  if (scores.sharpness() < config.min_sharpness)
    return below("blurred: sharpness", scores.sharpness(), config.min_sharpness, "min_sharpness");
  return "";
}

void add_frame(Scored& shot, FilmReader& frame, const FilmSize& size) {
  while (shot.hashes.size() < shot.hash_times.size() &&
         frame.next_time() > shot.hash_times[shot.hashes.size()] + kRounding)
    shot.hashes.push_back(picture_hash({frame.pixels().const_data_ptr<uint8_t>(), size.width, size.height}));
  if (frame.time() + kRounding < shot.next) return;
  shot.next = std::max(shot.next, frame.time() - 0.5 / kScoreRate) + 1 / kScoreRate;
  shot.scores.add({frame.pixels().const_data_ptr<uint8_t>(), size.width, size.height}, frame.time());
}

std::vector<Record> score_film(const Record& film, const std::vector<Record>& shots, const ScoreConfig& config) {
  const FilmSize size = size_of_area(film, kScoreArea, kScoreMultiple);
  std::vector<Scored> scored(shots.size());
  for (size_t i = 0; i < shots.size(); ++i)
    if (!is_dropped(shots[i])) {
      scored[i].hash_times = moments(shots[i], kHashesPerShot);
      scored[i].hashes.reserve(scored[i].hash_times.size());  // small blocks between frames would fragment the heap
    }
  size_t current = 0;
  visit_frames(film, shots, {.width = size.width, .height = size.height, .scaler = Scaler::kArea},
               [&](size_t shot, FilmReader& frame) {
                 if (shot != current) scored[current].scores.release();
                 current = shot;
                 add_frame(scored[shot], frame, size);
               });
  std::vector<Record> records;
  for (size_t i = 0; i < shots.size(); ++i) {
    if (is_dropped(shots[i])) continue;
    Record record = {{"film", film.at("film")}, {"shot", shots[i].at("shot")}};
    if (scored[i].scores.frames() == 0) {
      record["dropped"] = "none of its frames can be decoded";
    } else {
      record["scores"] = numbers(scored[i]);
      const std::string problem = problem_of(scored[i].scores, config);
      if (!problem.empty()) record["dropped"] = problem;
    }
    records.push_back(std::move(record));
  }
  return records;
}

// A line for each shot that repeats an earlier one; edited lines stay as long as the pair is found.
void add_duplicates(Manifest& manifest, const std::vector<Record>& shots, const std::vector<Record>& scores,
                    const ScoreConfig& config) {
  for (const Duplicate& found : find_duplicates(shots, scores, config.duplicate_bits)) {
    const std::string pair = formatted("%ld %ld repeats %ld %ld %.17g", found.shot.film, found.shot.shot,
                                       found.earlier.film, found.earlier.shot, found.bits);
    manifest.group(pair, [&]() -> std::vector<Record> {
      return {{{"film", found.shot.film},
               {"shot", found.shot.shot},
               {"repeats", {found.earlier.film, found.earlier.shot}},
               {"bits", found.bits},
               {"dropped",
                formatted("duplicate of shot %ld of film %ld: %.1f bits differ, at most %.1f (score.duplicate_bits)",
                          found.earlier.shot, found.earlier.film, found.bits, config.duplicate_bits)}}};
    });
  }
}

}  // namespace

void ScoreConfig::validate() const {
  for (const auto& [name, part] : {std::pair{"max_black", max_black}, std::pair{"max_still", max_still}})
    check(part >= 0 && part <= 1, name, " is ", part, ", expected 0 to 1");
  check(min_luma >= 0 && min_luma <= max_luma, "min_luma is ", min_luma, ", expected 0 to max_luma, ", max_luma);
  check(min_sharpness >= 0, "min_sharpness is ", min_sharpness, ", expected at least 0");
  check(min_motion >= 0, "min_motion is ", min_motion, ", expected at least 0");
  check(max_motion == 0 || max_motion >= min_motion, "max_motion is ", max_motion,
        ", expected 0 (no limit) or at least min_motion, ", min_motion);
  check(duplicate_bits <= 64, "duplicate_bits is ", duplicate_bits, ", expected at most 64");
}

std::vector<Record> score_films(const FilmsConfig& config, const std::vector<Record>& films,
                                const std::vector<Record>& shots) {
  if (!config.score.enabled) return {};
  Manifest manifest(config.out, name_of(FilmStage::kScore), to_json(config.score));
  const std::vector<Record> scores = per_film(
      manifest, "score", films, shots,
      [](const Record& film, const std::vector<Record>& own) { return film_key(film) + shots_key(own); },
      [&](const Record& film, const std::vector<Record>& own) { return score_film(film, own, config.score); });
  add_duplicates(manifest, shots, scores, config.score);
  return manifest.finish();
}

}  // namespace moga
