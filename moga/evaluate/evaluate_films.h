// Numbers for films of any program: VBench's, MoGA's and HoloCine's measures (measures.h), with baselines that cost
// nothing. A film is read twice, once for its cuts and once for its frames, in memory that does not grow with its
// length: features of a batch of frames, and two features per shot.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "moga/data/cuts/cuts.h"
#include "moga/evaluate/expected_shots.h"
#include "moga/evaluate/film_models.h"
#include "moga/evaluate/measures.h"

namespace moga {

// Measures that are features of frames. A number per film; none: not computed, and `FilmResult::notes` says why.
struct FilmScores {
  std::optional<double> subject, subject_in_shots, background, background_in_shots, aesthetic, cross_clip, cross_dino,
      text;
};
struct ScoreColumn {
  std::optional<double> FilmScores::*member;
  const char *key, *title;
};
inline constexpr std::array kScoreColumns = {
    ScoreColumn{&FilmScores::subject, "subject_consistency", "subject"},
    ScoreColumn{&FilmScores::subject_in_shots, "subject_consistency_in_shots", "in shots"},
    ScoreColumn{&FilmScores::background, "background_consistency", "backgrnd"},
    ScoreColumn{&FilmScores::background_in_shots, "background_consistency_in_shots", "in shots"},
    ScoreColumn{&FilmScores::aesthetic, "aesthetic_quality", "aesth."},
    ScoreColumn{&FilmScores::cross_clip, "cross_shot_clip", "x-CLIP"},
    ScoreColumn{&FilmScores::cross_dino, "cross_shot_dino", "x-DINO"},
    ScoreColumn{&FilmScores::text, "text_alignment", "text"},
};

struct FilmShot {
  int64_t first_frame = 0, frames = 0;
  std::string caption;
};

struct FilmResult {
  std::string path;
  std::string problem;  // why there are no numbers; empty: there are
  std::vector<std::string> notes;
  int64_t width = 0, height = 0, frames = 0, damaged = 0;
  double fps = 0;
  bool truncated = false;
  std::vector<FilmShot> shots;
  std::string shots_from;  // where the shots come from: a script, a list, "found"
  FilmScores scores, one_frame, shuffled;
  std::optional<CutScore> cuts;
  std::vector<int64_t> cuts_found;
  // For the means over films: sums over the film's frames, and the means of its shots.
  double subject_sum = 0, background_sum = 0;
  int64_t consistency_frames = 0;
  at::Tensor clip_means, dino_means;  // [S, D]; undefined: not computed
};

struct FilmToMeasure {
  std::filesystem::path path;
  ExpectedShots expected;  // from a list
};

struct FilmsEvaluationConfig {
  std::vector<std::string> films;    // films, folders, and lists that sources.h reads
  std::vector<std::string> scripts;  // none, one for all films, or one per film
  std::string models = "models/evaluation";
  std::string out;  // folder of films.json and films.csv; empty: nothing is written
  CutConfig cut;
  int64_t batch = 16;         // frames evaluated together
  int64_t shot_samples = 10;  // frames of each shot that cross-shot similarity compares
  std::string device = "auto";

  void validate() const;
};

struct FilmsEvaluation {
  std::vector<FilmResult> films;
  std::vector<std::string> missing;  // models, see FilmModels
  FilmScores all;                    // VBench's means over films
  std::optional<double> cut_accuracy;
  FilmScores other_films;  // baseline: cross-shot similarity of shots of different films
};

// Measures what can be measured; films that cannot be read have their problem. Results are written after every film.
// Throws when no film can be measured.
FilmsEvaluation evaluate_films(const FilmsEvaluationConfig& config);

// One film with models that are loaded. Throws when the film cannot be read.
FilmResult measure_film(const FilmToMeasure& film, FilmModels& models, const FilmsEvaluationConfig& config);
// The means over the films that have numbers.
void update_means(FilmsEvaluation& evaluation);

// film_report.h has the table, JSON and CSV.
}  // namespace moga
