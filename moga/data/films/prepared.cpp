// Reading a prepared folder. See prepared.h.
#include "moga/data/films/prepared.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/json_text.h"
#include "moga/data/films/config.h"
#include "moga/data/video/film.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

// Fills `frames` with those of a shot, from its frame `first` on.
void read_shot(const Record& shot, int64_t first, double fps, int threads, const at::Tensor& frames) {
  const auto crop = shot.at("crop").get<std::vector<int64_t>>();
  check(crop.size() == 4, "crop has ", crop.size(), " numbers, expected x, y, width, height");
  const auto film = open_film(shot.at("path").get<std::string>(), {.width = frames.size(3),
                                                                   .height = frames.size(2),
                                                                   .crop = {crop[0], crop[1], crop[2], crop[3]},
                                                                   .deinterlace = shot.at("interlaced").get<bool>(),
                                                                   .threads = threads});
  read_sampled(*film, shot.at("start").get<double>() + static_cast<double>(first) / fps, fps, frames);
}

// Names of the samples that encode.jsonl calls held out, or has dropped.
struct Encoded {
  std::set<std::string> held_out, dropped;
};

Encoded read_encoded(const fs::path& path) {
  Encoded encoded;
  if (!fs::exists(path)) return encoded;
  for (const Record& line : read_records(path)) {
    if (is_dropped(line)) encoded.dropped.insert(line.at("sample").get<std::string>());
    if (line.value("set", "") == "held_out") encoded.held_out.insert(line.at("sample").get<std::string>());
  }
  return encoded;
}

}  // namespace

PreparedFilms read_prepared_films(const fs::path& folder) {
  for (const char* file : {"prepare.toml", "merge.jsonl"})
    check(fs::exists(folder / file), folder.string(), ": has no ", file,
          ", expected a folder made by moga prepare videos");
  PreparedFilms films;
  films.fps = load_toml<FilmsConfig>((folder / "prepare.toml").string()).fps;
  try {
    const Encoded encoded = read_encoded(folder / "encode.jsonl");
    for (Record& sample : read_records(folder / "merge.jsonl")) {
      const std::string name = sample.at("sample").get<std::string>();
      if (is_dropped(sample) || encoded.dropped.contains(name)) continue;
      check(frames_of(sample) > 0, (folder / "merge.jsonl").string(), ": sample ", name, " has no frames");
      (encoded.held_out.contains(name) ? films.held_out : films.samples).push_back(std::move(sample));
    }
  } catch (const nlohmann::json::exception& error) {
    fail(folder.string(), ": damaged manifest: ", reason(error));
  }
  check(!films.samples.empty(), folder.string(), ": no sample to train on; merge.jsonl says why each was dropped");
  return films;
}

int64_t frames_of(const Record& sample) {
  int64_t frames = 0;
  for (const Record& shot : sample.at("shots")) frames += shot.at("frames").get<int64_t>();
  return frames;
}

at::Tensor sample_frames(const Record& sample, int64_t first, int64_t count, double fps, const FrameReading& reading) {
  check(first >= 0 && count > 0 && first + count <= frames_of(sample), "frames ", first, " to ", first + count - 1,
        " of a sample of ", frames_of(sample));
  at::Tensor frames = at::empty({count, 3, sample.at("height").get<int64_t>(), sample.at("width").get<int64_t>()},
                                at::TensorOptions().dtype(at::kByte).pinned_memory(reading.pinned));
  int64_t begin = 0;  // of the shot
  for (const Record& shot : sample.at("shots")) {
    const auto length = shot.at("frames").get<int64_t>();
    const int64_t from = std::max(first, begin), until = std::min(first + count, begin + length);
    if (from < until) read_shot(shot, from - begin, fps, reading.threads, frames.slice(0, from - first, until - first));
    begin += length;
  }
  return frames;
}

std::vector<std::string> captions_of(const std::vector<Record>& samples) {
  std::vector<std::string> captions;
  for (const Record& sample : samples)
    for (const Record& shot : sample.at("shots"))
      if (std::string caption = shot.at("caption").get<std::string>(); !caption.empty())
        captions.push_back(std::move(caption));
  return captions;
}

}  // namespace moga
