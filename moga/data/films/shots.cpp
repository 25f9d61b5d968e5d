// Lines about shots and their frames. See shots.h.
#include "moga/data/films/shots.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/films/file_stamp.h"

namespace moga {
namespace {

constexpr double kRounding = 1e-4;  // of times in manifests, in seconds
constexpr int64_t kAll = -1;        // the shot of a line about a whole film

void add_to(Record& shot, const Record& later) {
  for (const char* key : {"crop", "caption"})
    if (later.contains(key)) shot[key] = later.at(key);
  if (is_dropped(later) && !is_dropped(shot)) shot["dropped"] = later.at("dropped");
}

}  // namespace

ShotName shot_name(const Record& record) { return {record.at("film").get<int64_t>(), record.value("shot", kAll)}; }

std::vector<Record> join_shots(std::vector<Record> shots, const std::vector<Record>& later) {
  std::map<ShotName, std::vector<const Record*>> lines;
  for (const Record& record : later) lines[shot_name(record)].push_back(&record);
  for (Record& shot : shots) {
    const ShotName name = shot_name(shot);
    for (const ShotName& about : {name, ShotName{name.film, kAll}}) {
      const auto found = lines.find(about);
      if (found == lines.end() || (about == ShotName{name.film, kAll} && name.shot == kAll)) continue;
      for (const Record* record : found->second) add_to(shot, *record);
    }
  }
  return shots;
}

std::vector<std::vector<Record>> shots_of_films(const std::vector<Record>& films, const std::vector<Record>& shots) {
  std::map<int64_t, std::vector<Record>> by_film;
  for (const Record& shot : shots) by_film[shot.at("film").get<int64_t>()].push_back(shot);
  std::vector<std::vector<Record>> all;
  for (const Record& film : films) {
    all.push_back(by_film[film.at("film").get<int64_t>()]);
    double end = -1;
    for (const Record& shot : all.back()) {
      if (!shot.contains("start")) continue;
      const double start = shot.at("start").get<double>();
      check(start + kRounding >= end && shot.at("end").get<double>() > start, film.at("path").get<std::string>(),
            ": shot ", shot.at("shot").get<int64_t>(), " has start ", start, " and end ", shot.at("end").get<double>(),
            ", expected shots that follow each other");
      end = shot.at("end").get<double>();
    }
  }
  return all;
}

std::string film_key(const Record& film) {
  const std::string path = film.at("path").get<std::string>();
  return std::to_string(film.at("film").get<int64_t>()) + "\n" + path + "\n" + file_stamp(path) +
         (film.value("interlaced", false) ? " interlaced " : " ") + std::to_string(film.value("width", int64_t{0})) +
         "x" + std::to_string(film.value("height", int64_t{0}));
}

std::string shots_key(const std::vector<Record>& shots) {
  std::string key;
  for (const Record& shot : shots)
    if (!is_dropped(shot))
      key += "\n" + shot.at("shot").dump() + " " + shot.at("start").dump() + " " + shot.at("end").dump();
  return key;
}

void visit_frames(const Record& film, const std::vector<Record>& shots, FilmView view,
                  const std::function<void(size_t shot, FilmReader& frame)>& visit) {
  view.deinterlace = film.value("interlaced", false);
  const auto reader = open_film(film.at("path").get<std::string>(), view);
  size_t shot = 0;
  while (reader->next()) {
    stop_if_interrupted();
    const auto ended = [&] {
      return is_dropped(shots[shot]) || reader->time() + kRounding >= shots[shot].at("end").get<double>();
    };
    while (shot < shots.size() && ended()) ++shot;
    if (shot == shots.size()) return;
    if (reader->time() + kRounding >= shots[shot].at("start").get<double>()) visit(shot, *reader);
  }
}

std::vector<Record> per_film(
    Manifest& manifest, const std::string& label, const std::vector<Record>& films, const std::vector<Record>& shots,
    const std::function<std::string(const Record& film, const std::vector<Record>&)>& input,
    const std::function<std::vector<Record>(const Record&, const std::vector<Record>&)>& make) {
  const std::vector<std::vector<Record>> by_film = shots_of_films(films, shots);
  std::vector<Record> all;
  Progress progress(label, static_cast<int64_t>(films.size()), "film");
  for (size_t i = 0; i < films.size(); ++i) {
    const Record& film = films[i];
    const auto kept = [](const Record& shot) { return !is_dropped(shot); };
    if (!is_dropped(film) && std::any_of(by_film[i].begin(), by_film[i].end(), kept)) {
      const auto& records = manifest.group(input(film, by_film[i]), [&]() -> std::vector<Record> {
        try {
          return make(film, by_film[i]);
        } catch (const Interrupted&) {
          throw;
        } catch (const Error& error) {
          log_info("dropped ", film.at("path").get<std::string>(), ": ", error.what());
          return {{{"film", film.at("film")}, {"dropped", error.what()}}};
        }
      });
      all.insert(all.end(), records.begin(), records.end());
    }
    progress.advance();
  }
  return all;
}

std::vector<double> moments(const Record& shot, int64_t count) {
  const double start = shot.at("start").get<double>(), seconds = shot.at("end").get<double>() - start;
  std::vector<double> times;
  for (int64_t i = 0; i < count; ++i)
    times.push_back(start + seconds * (static_cast<double>(i) + 0.5) / static_cast<double>(count));
  return times;
}

std::vector<at::Tensor> frames_at(FilmReader& film, const std::vector<double>& times) {
  std::vector<at::Tensor> frames;
  if (times.empty()) return frames;
  film.seek(times.front());
  check(film.next(), "the film ends before ", times.front(), " s");
  for (const double time : times) {
    while (film.next_time() <= time + kRounding) film.next();
    frames.push_back(film.pixels());
  }
  return frames;
}

FilmSize size_of_area(const Record& film, int64_t area, int64_t multiple) {
  const double aspect = film.at("width").get<double>() / film.at("height").get<double>();
  const auto rounded = [&](double side) {
    return std::max<int64_t>(multiple, std::llround(side / static_cast<double>(multiple)) * multiple);
  };
  const double height = std::sqrt(static_cast<double>(area) / aspect);
  return {rounded(height * aspect), rounded(height)};
}

}  // namespace moga
