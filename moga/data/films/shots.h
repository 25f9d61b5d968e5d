// Lines about shots: what several stages say about one shot, and the frames of a film that belong to its shots.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "moga/data/films/manifest.h"
#include "moga/data/video/film.h"

namespace moga {

// Film and shot of a line.
struct ShotName {
  int64_t film = 0, shot = 0;
  auto operator<=>(const ShotName&) const = default;
};
ShotName shot_name(const Record& record);

// The lines of cut.jsonl with what the lines of a later stage add: "dropped" (the first reason stays), "crop" and
// "caption". A line of a later stage without "shot" is about all shots of its film.
std::vector<Record> join_shots(std::vector<Record> shots, const std::vector<Record>& later);

// The shots of each film, in the order of `films`. Throws unless the shots of a film follow each other in time.
std::vector<std::vector<Record>> shots_of_films(const std::vector<Record>& films, const std::vector<Record>& shots);

// What the frames of a film depend on, as text: its path, its file and how it is read. Captions are not in it.
std::string film_key(const Record& film);
// The same of its shots: those that are not dropped, with start and end.
std::string shots_key(const std::vector<Record>& shots);

// Reads a film from its start to its end in constant memory; `visit` gets every frame that belongs to a shot that is
// not dropped, with the shot's place in `shots`.
void visit_frames(const Record& film, const std::vector<Record>& shots, FilmView view,
                  const std::function<void(size_t shot, FilmReader& frame)>& visit);

// The lines of a stage that goes through one film after the other: `make` for each film with shots that are not
// dropped. A film that cannot be read gets a line that drops it. Prints progress.
std::vector<Record> per_film(Manifest& manifest, const std::string& label, const std::vector<Record>& films,
                             const std::vector<Record>& shots,
                             const std::function<std::string(const Record& film, const std::vector<Record>&)>& input,
                             const std::function<std::vector<Record>(const Record&, const std::vector<Record>&)>& make);

// Moments of a shot: (i + 0.5) / count of its duration, i = 0 to count - 1, in seconds of the film.
std::vector<double> moments(const Record& shot, int64_t count);
// uint8 [Y, X, 3], the frames shown at rising times. Times after the end show the last frame.
std::vector<at::Tensor> frames_at(FilmReader& film, const std::vector<double>& times);

// A size of about `area` pixels with the film's aspect ratio, both sides multiples of `multiple`.
struct FilmSize {
  int64_t width = 0, height = 0;
};
FilmSize size_of_area(const Record& film, int64_t area, int64_t multiple);

}  // namespace moga
