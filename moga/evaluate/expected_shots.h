// What a film was asked to be: captions of its shots and the frames at which they begin. From a shot script, a list of
// films in another program's format, or the script that `moga generate` leaves in its films.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "moga/data/films/sources.h"
#include "moga/data/script.h"

namespace moga {

struct ExpectedShots {
  std::vector<std::string> captions;         // one per shot, or one for the whole film; empty: unknown
  std::optional<std::vector<int64_t>> cuts;  // first frames of the second shot and those after it; none: unknown
  std::string source;                        // "film.toml", "the film's own script"; empty: nothing is known
};

// Cuts where `moga generate` puts them, between latent frames. A film at another rate than the script's has its cuts at
// the same times.
ExpectedShots shots_of_script(const Script& script, double fps, const std::string& source);
// Of an entry of a list or of a folder with captions; `source` is its name.
ExpectedShots shots_of_list(const Source& entry, const std::string& source);
// The script in a film's tags; nothing when it has none or cannot be read.
ExpectedShots shots_in_film(const std::filesystem::path& film, double fps);

}  // namespace moga
