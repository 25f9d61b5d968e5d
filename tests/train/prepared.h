// A folder as `moga prepare videos` leaves it: two films of 33 frames, the second held out, with captions.
#pragma once

#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/data/films/config.h"
#include "tests/data/films/made_film.h"
#include "tests/support/folder.h"

namespace moga::test {

inline std::filesystem::path prepared_folder(const Folder& folder) {
  std::vector<Record> samples, encoded;
  for (const int64_t film : {0, 1}) {
    const std::filesystem::path path = folder / ("film" + std::to_string(film) + ".mp4");
    write_film(path, joined(pan(scene(1 + static_cast<uint64_t>(film)), 17, 3), pan(scene(8), 16, 2)));
    Record shots = Record::array();
    for (const int64_t shot : {0, 1})
      shots.push_back({{"film", film},
                       {"shot", shot},
                       {"path", path.string()},
                       {"start", shot == 0 ? 0.0 : 17 / 16.0},
                       {"frames", shot == 0 ? 17 : 16},
                       {"latent_frames", shot == 0 ? 5 : 4},
                       {"crop", {0, 0, kFilmWidth, kFilmHeight}},
                       {"interlaced", false},
                       {"caption", shot == 0 ? "A red hat and a blue shirt." : "A green hat and a white shirt."}});
    const std::string name = film == 0 ? "00000-00" : "00001-00";
    samples.push_back({{"sample", name}, {"film", film}, {"width", 64}, {"height", 48}, {"shots", shots}});
    encoded.push_back({{"sample", name}, {"set", film == 0 ? "shards" : "held_out"}});
  }
  samples.push_back({{"sample", "00002-00"}, {"film", 2}, {"dropped", "too short"}});
  const std::filesystem::path out = folder / "films";
  std::filesystem::create_directories(out);
  write_text(out / "prepare.toml", to_toml(FilmsConfig()));
  write_text(out / "merge.jsonl", to_lines(samples));
  write_text(out / "encode.jsonl", to_lines(encoded));
  return out;
}

}  // namespace moga::test
