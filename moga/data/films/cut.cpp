// Stage cut: the shots of each film. See stages.h.
#include <algorithm>
#include <chrono>
#include <cmath>

#include <ATen/core/Tensor.h>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/films/file_stamp.h"
#include "moga/data/films/shots.h"
#include "moga/data/films/stages.h"

namespace moga {
namespace {

// Times are kept to a microsecond, so that a manifest reads well.
double rounded(double seconds) { return std::round(seconds * 1e6) / 1e6; }

// The boundaries that a list names: the first frames of the second shot and those after it.
std::vector<Boundary> listed(const Record& film, int64_t frames) {
  std::vector<Boundary> boundaries;
  if (!film.contains("cuts")) return boundaries;
  for (const int64_t cut : film.at("cuts").get<std::vector<int64_t>>()) {
    check(cut > (boundaries.empty() ? 0 : boundaries.back().after) && cut < frames, film.at("path").get<std::string>(),
          ": cut at frame ", cut, ", expected rising numbers from 1 to ", frames - 1);
    boundaries.push_back({cut - 1, cut});
  }
  return boundaries;
}

struct Shots {
  std::vector<double> times;  // of every frame, and the end of the last
  std::vector<Boundary> boundaries;
  int64_t damaged = 0;
  bool truncated = false;
};

Shots find_shots(const Record& film, const CutConfig& config) {
  const bool named = film.contains("cuts") || film.value("one_shot", false);
  CutConfig used = config;
  if (named) used.method = CutMethod::kNone;
  const auto detector = make_cut_detector(used);
  const auto reader = open_film(film.at("path").get<std::string>(), {.width = detector->width(),
                                                                     .height = detector->height(),
                                                                     .scaler = Scaler::kArea,
                                                                     .deinterlace = film.value("interlaced", false)});
  Shots shots;
  while (reader->next()) {
    stop_if_interrupted();
    shots.times.push_back(reader->time());
    if (used.method != CutMethod::kNone) detector->add(reader->pixels().const_data_ptr<uint8_t>());
  }
  check(!shots.times.empty(), film.at("path").get<std::string>(), ": no frame can be decoded");
  const auto frames = static_cast<int64_t>(shots.times.size());
  shots.times.push_back(shots.times.back() + reader->frame_seconds());
  shots.boundaries = named ? listed(film, frames) : detector->finish();
  shots.damaged = reader->damaged();
  shots.truncated = reader->truncated();
  return shots;
}

Record beginning(const Boundary* boundary, bool named) {
  if (!boundary) return {{"kind", "start"}};
  if (named) return {{"kind", "listed"}};
  Record record = {{"kind", boundary->clean() ? "clean" : "transition"}};
  if (!boundary->clean()) record["frames"] = boundary->after - boundary->before - 1;
  record["score"] = std::round(boundary->score * 1000) / 1000;
  record["threshold"] = std::round(boundary->threshold * 1000) / 1000;
  return record;
}

std::vector<Record> records_of(const Record& film, const Shots& found) {
  std::vector<Record> records;
  const auto frames = static_cast<int64_t>(found.times.size()) - 1;
  int64_t first = 0;
  for (size_t i = 0; i <= found.boundaries.size(); ++i) {
    const int64_t last = i < found.boundaries.size() ? found.boundaries[i].before : frames - 1;
    if (last >= first) {
      Record record = {{"film", film.at("film")},
                       {"shot", records.size()},
                       {"start", rounded(found.times[static_cast<size_t>(first)])},
                       {"end", rounded(found.times[static_cast<size_t>(last) + 1])},
                       {"first_frame", first},
                       {"frames", last - first + 1},
                       {"begins", beginning(i > 0 ? &found.boundaries[i - 1] : nullptr, film.contains("cuts"))}};
      if (records.empty() && found.damaged > 0) record["damaged"] = found.damaged;
      if (records.empty() && found.truncated) record["truncated"] = true;
      records.push_back(std::move(record));
    }
    if (i < found.boundaries.size()) first = found.boundaries[i].after;
  }
  return records;
}

std::vector<Record> cut(const Record& film, const CutConfig& config) {
  const std::string path = film.at("path").get<std::string>();
  if (is_dropped(film)) return {{{"film", film.at("film")}, {"dropped", "the film is dropped"}}};
  try {
    const auto begin = std::chrono::steady_clock::now();
    const Shots found = find_shots(film, config);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const auto frames = static_cast<int64_t>(found.times.size()) - 1;
    log_info(path, ": ", frames, " frames, ", found.boundaries.size(), " cuts",
             found.damaged > 0 ? ", " + std::to_string(found.damaged) + " damaged packets or frames left out" : "",
             found.truncated ? ", truncated" : "", ", ", std::llround(static_cast<double>(frames) / seconds),
             " frames/s");
    return records_of(film, found);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    log_info("dropped ", path, ": ", error.what());
    return {{{"film", film.at("film")}, {"dropped", error.what()}}};
  }
}

// Captions are not part of it: a new caption keeps the shots, with what was edited in their lines.
std::string input_of(const Record& film) {
  std::string input = film_key(film);
  for (const char* key : {"cuts", "one_shot"})
    if (film.contains(key)) input += std::string("\n") + key + film.at(key).dump();
  return input + (is_dropped(film) ? "\ndropped" : "");
}

}  // namespace

std::vector<Record> cut_films(const FilmsConfig& config, const std::vector<Record>& films) {
  const std::string weights = config.cut.weights.empty() ? "" : file_stamp(config.cut.weights);
  Manifest manifest(config.out, name_of(FilmStage::kCut), to_json(config.cut) + weights);
  Progress progress("cut", static_cast<int64_t>(films.size()), "film");
  for (const Record& film : films) {
    manifest.group(input_of(film), [&] { return cut(film, config.cut); });
    progress.advance();
  }
  return manifest.finish();
}

}  // namespace moga
