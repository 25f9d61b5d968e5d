// What a dry run prints. See stages.h.
#include <algorithm>

#include "moga/core/format.h"
#include "moga/core/json_text.h"
#include "moga/data/films/stages.h"

namespace moga {
namespace {

constexpr size_t kPathWidth = 40;

struct Counts {
  int64_t shots = 0, samples = 0, latent_frames = 0;
  bool film_dropped = false;
  std::map<std::string, int64_t> dropped;  // reason → how often
};

std::string shortened(const std::string& path) {
  const std::string text = printable(path);
  if (text.size() <= kPathWidth) return text;
  size_t begin = text.size() - kPathWidth + 3;
  while (begin < text.size() && (text[begin] & 0xc0) == 0x80) ++begin;  // not within a character
  return "..." + text.substr(begin);
}

std::string row(const Record& film, const Counts& counts) {
  const std::string size = film.contains("width") ? std::to_string(film.at("width").get<int64_t>()) + "x" +
                                                        std::to_string(film.at("height").get<int64_t>())
                                                  : "-";
  const std::string path = shortened(film.at("path").get<std::string>());
  std::string text = path + std::string(path.size() < kPathWidth ? kPathWidth - path.size() : 0, ' ') +
                     formatted("  %-10s %7.3f %9.2f %6ld %8ld %7ld\n", size.c_str(), film.value("fps", 0.0),
                               film.value("seconds", 0.0), counts.shots, counts.samples, counts.latent_frames);
  for (const auto& [reason, times] : counts.dropped)
    text += "    dropped" + (times > 1 ? formatted(" %ld times", times) : "") + ": " + printable(reason) + "\n";
  return text;
}

}  // namespace

std::string films_table(const std::vector<Record>& films, const std::vector<Record>& shots,
                        const std::vector<Record>& samples) {
  std::map<int64_t, Counts> counts;
  Counts total;
  for (const Record& film : films)
    if (is_dropped(film)) {
      Counts& dropped = counts[film.at("film").get<int64_t>()];
      dropped.film_dropped = true;
      dropped.dropped[film.at("dropped").get<std::string>()] = 1;
    }
  for (const Record& shot : shots)
    if (!is_dropped(shot)) ++counts[shot.at("film").get<int64_t>()].shots, ++total.shots;
  for (const Record& sample : samples) {
    Counts& film = counts[sample.at("film").get<int64_t>()];
    if (is_dropped(sample)) {
      if (!film.film_dropped) ++film.dropped[sample.at("dropped").get<std::string>()];
      continue;
    }
    for (Counts* sum : {&film, &total}) {
      ++sum->samples;
      sum->latent_frames += sample.at("latent_frames").get<int64_t>();
    }
  }
  std::string text =
      std::string("file") + std::string(kPathWidth - 4, ' ') +
      formatted("  %-10s %7s %9s %6s %8s %7s\n", "size", "fps", "seconds", "shots", "samples", "latents");
  for (const Record& film : films) text += row(film, counts[film.at("film").get<int64_t>()]);
  return text + formatted("%zu films, %ld shots, %ld samples, %ld latent frames\n", films.size(), total.shots,
                          total.samples, total.latent_frames);
}

}  // namespace moga
