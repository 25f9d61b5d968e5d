// See film_report.h.
#include "moga/evaluate/film_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "moga/core/files.h"
#include "moga/core/format.h"

namespace moga {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kNameWidth = 28;

Json number(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json scores_json(const FilmScores& scores) {
  Json json = Json::object();
  for (const ScoreColumn& column : kScoreColumns) json[column.key] = number(scores.*column.member);
  return json;
}

// Only what the baseline has.
Json baseline_json(const FilmScores& scores) {
  Json json = Json::object();
  for (const ScoreColumn& column : kScoreColumns)
    if (const auto& value = scores.*column.member) json[column.key] = *value;
  return json;
}

Json cuts_json(const FilmResult& film) {
  Json json = {{"found", film.cuts_found}};
  if (!film.cuts) return json;
  json["shot_cut_accuracy"] = film.cuts->accuracy;
  json["deviation_frames"] = number(film.cuts->deviation);
  json["missed"] = film.cuts->missed;
  json["extra"] = film.cuts->extra;
  return json;
}

Json film_json(const FilmResult& film) {
  if (!film.problem.empty()) return {{"path", film.path}, {"problem", film.problem}};
  Json json = {{"path", film.path},           {"width", film.width}, {"height", film.height},
               {"frames", film.frames},       {"fps", film.fps},     {"damaged", film.damaged},
               {"truncated", film.truncated}, {"notes", film.notes}, {"shots_from", film.shots_from}};
  json["shots"] = Json::array();
  for (const FilmShot& shot : film.shots) {
    Json one = {{"first_frame", shot.first_frame}, {"frames", shot.frames}};
    if (!shot.caption.empty()) one["caption"] = shot.caption;
    json["shots"].push_back(std::move(one));
  }
  json["measures"] = scores_json(film.scores);
  json["cuts"] = cuts_json(film);
  json["baselines"] = {{"one_frame", baseline_json(film.one_frame)}, {"shuffled_shots", baseline_json(film.shuffled)}};
  return json;
}

std::string cell(const std::optional<double>& value) {
  return value ? formatted(" %8.4f", *value) : formatted(" %8s", "-");
}

std::string cells(const FilmScores& scores) {
  std::string text;
  for (const ScoreColumn& column : kScoreColumns) text += cell(scores.*column.member);
  return text;
}

// The end of a long path says more than its beginning. Cut between UTF-8 characters.
std::string name_cell(const std::string& name) {
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
  const auto width = static_cast<size_t>(name.size() - static_cast<size_t>(std::ranges::count_if(name, continues)));
  std::string text = name;
  size_t shown = width;
  if (width > kNameWidth) {
    size_t begin = 0;
    for (size_t skipped = 0; skipped + kNameWidth < width + 3; ++skipped) do
        ++begin;
      while (begin < name.size() && continues(name[begin]));
    text = "..." + name.substr(begin);
    shown = kNameWidth;
  }
  return text + std::string(kNameWidth - std::min<size_t>(kNameWidth, shown), ' ');
}

bool has_numbers(const FilmScores& scores) {
  return std::ranges::any_of(kScoreColumns,
                             [&](const ScoreColumn& column) { return (scores.*column.member).has_value(); });
}

std::string film_rows(const FilmResult& film) {
  std::string text =
      name_cell(film.path) + formatted(" %7ld %5zu", film.frames, film.shots.size()) + cells(film.scores);
  text += cell(film.cuts ? std::optional<double>(film.cuts->accuracy) : std::nullopt);
  text += film.cuts && film.cuts->deviation ? formatted(" %7.1f", *film.cuts->deviation) : formatted(" %7s", "-");
  if (film.cuts && film.cuts->missed + film.cuts->extra > 0)
    text += formatted("  cuts missed %ld, extra %ld", film.cuts->missed, film.cuts->extra);
  text += "\n";
  for (const auto& [name, scores] :
       {std::pair{"  copies of its first frame", &film.one_frame}, std::pair{"  its shots shuffled", &film.shuffled}})
    if (has_numbers(*scores)) text += name_cell(name) + std::string(14, ' ') + cells(*scores) + "\n";
  return text;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv_number(const std::optional<double>& value) { return value ? formatted("%.9g", *value) : ""; }

}  // namespace

std::string film_table(const FilmsEvaluation& evaluation) {
  std::string text = name_cell("film") + formatted(" %7s %5s", "frames", "shots");
  for (const ScoreColumn& column : kScoreColumns) text += formatted(" %8s", column.title);
  text += formatted(" %8s %7s", "SCA", "dev.") + "\n";
  int64_t measured = 0;
  for (const FilmResult& film : evaluation.films) {
    if (film.problem.empty()) {
      text += film_rows(film);
      ++measured;
    } else {
      text += name_cell(film.path) + " not measured\n";
    }
  }
  if (measured > 1) {
    text += name_cell("all " + std::to_string(measured) + " films") + std::string(14, ' ') + cells(evaluation.all) +
            cell(evaluation.cut_accuracy) + "\n";
    if (has_numbers(evaluation.other_films))
      text += name_cell("  shots of different films") + std::string(14, ' ') + cells(evaluation.other_films) + "\n";
  }
  return text;
}

std::string film_json(const FilmsEvaluation& evaluation, const FilmsEvaluationConfig& config) {
  Json json = {{"films", Json::array()}};
  for (const FilmResult& film : evaluation.films) json["films"].push_back(film_json(film));
  json["all"] = scores_json(evaluation.all);
  json["all"]["shot_cut_accuracy"] = number(evaluation.cut_accuracy);
  json["baselines"] = {{"different_films", baseline_json(evaluation.other_films)}};
  json["settings"] = {{"models", config.models},
                      {"cuts_by", name_of(config.cut.method)},
                      {"cross_shot_frames_per_shot", config.shot_samples}};
  json["missing"] = evaluation.missing;
  json["not_computed"] = {{"motion_smoothness", "needs AMT-S"}, {"imaging_quality", "needs MUSIQ"}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string film_csv(const FilmsEvaluation& evaluation) {
  std::string text = "film,frames,shots";
  for (const ScoreColumn& column : kScoreColumns) text += std::string(",") + column.key;
  text += ",shot_cut_accuracy,cut_deviation_frames,cuts_missed,cuts_extra,problem\r\n";
  for (const FilmResult& film : evaluation.films) {
    const bool measured = film.problem.empty();
    text += csv_field(film.path) + "," + (measured ? std::to_string(film.frames) : "") + "," +
            (measured ? std::to_string(film.shots.size()) : "");
    for (const ScoreColumn& column : kScoreColumns) text += "," + csv_number(film.scores.*column.member);
    text += "," + csv_number(film.cuts ? std::optional<double>(film.cuts->accuracy) : std::nullopt) + "," +
            csv_number(film.cuts ? film.cuts->deviation : std::nullopt);
    text += film.cuts ? formatted(",%ld,%ld,", film.cuts->missed, film.cuts->extra) : ",,,";
    text += csv_field(film.problem) + "\r\n";
  }
  return text;
}

void write_film_report(const FilmsEvaluation& evaluation, const FilmsEvaluationConfig& config) {
  write_text(std::filesystem::path(config.out) / "films.json", film_json(evaluation, config));
  write_text(std::filesystem::path(config.out) / "films.csv", film_csv(evaluation));
}

}  // namespace moga
