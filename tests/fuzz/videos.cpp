// Videos: y4m headers, MP4 boxes.
#include <ATen/ATen.h>

#include <charconv>
#include <optional>

#include "moga/core/files.h"
#include "moga/data/video/video.h"
#include "tests/fuzz/agree.h"
#include "tests/fuzz/target.h"

namespace moga::test {
namespace {

using Path = std::filesystem::path;

int64_t read_all(VideoReader& video) {
  const VideoInfo info = video.info();
  int64_t frames = 0;
  while (true) {
    const at::Tensor some = video.read(4);
    if (some.size(0) == 0) return frames;
    if (some.size(2) != info.height || some.size(3) != info.width) throw Wrong("frames of another size");
    frames += some.size(0);
  }
}

// The only field of a y4m header that begins with `letter`, as a whole number up to `end`.
int64_t field(const std::string& line, char letter, char end) {
  std::optional<int64_t> found;
  for (size_t at = line.find(' '); at != std::string::npos; at = line.find(' ', at + 1)) {
    if (line[at + 1] != letter) continue;
    int64_t number = 0;
    const char* last = line.data() + std::min(line.find(end, at + 1), line.size());
    const auto [stop, error] = std::from_chars(line.data() + at + 2, last, number);
    if (error != std::errc() || stop != last || found) throw Wrong(line + ": " + letter + " was guessed");
    found = number;
  }
  if (!found) throw Wrong(line + ": no " + letter);
  return *found;
}

void read_y4m(const Path& path, const std::string& bytes) {
  const auto video = open_video(path);
  const VideoInfo info = video->info();
  const std::string line = bytes.substr(0, bytes.find('\n'));
  if (info.width != field(line, 'W', ' ') || info.height != field(line, 'H', ' ')) throw Wrong(line + ": another size");
  if (field(line, 'F', ':') < 1) throw Wrong(line + ": no frame rate");
  const int64_t frames = read_all(*video), least = info.width * info.height;
  if (frames * least > static_cast<int64_t>(bytes.size())) throw Wrong("more frames than bytes");
}

void read_video(const Path& path, const std::string& bytes) { read_all(*open_video(path)); }

std::string frames_of(const std::string& name, const Path& folder) {
  const auto writer = make_video_writer(folder / name, 32, 16, 8, {"title", "comment", "tool"});
  writer->write(at::randint(256, {5, 3, 16, 32}, at::kByte));
  writer->finish();
  return read_text(folder / name);
}

// The first line, and now and then anything.
std::string mutate_y4m(const std::string& original, Random& random) {
  const size_t end = original.find('\n');
  if (below(random, 4) == 0) return mutate_bytes(original, random);
  return mutate_text(original.substr(0, end), random) + original.substr(end);
}

std::string y4m(const std::string& fields, size_t bytes) {
  return "YUV4MPEG2 " + fields + "\nFRAME\n" + std::string(bytes, '\x60') + "FRAME Ip\n" + std::string(bytes, '\x70');
}

// The boxes around the coded frames.
std::string mutate_mp4(const std::string& original, Random& random) {
  const size_t begin = original.find("mdat"), end = original.find("moov");
  std::string head = original.substr(0, begin), tail = original.substr(end);
  (below(random, 4) == 0 ? head : tail) = mutate_bytes(below(random, 4) == 0 ? head : tail, random);
  return head + original.substr(begin, end - begin) + tail;
}

std::string mutate(const std::string& original, Random& random) { return mutate_bytes(original, random); }

}  // namespace

std::vector<Target> video_targets(const Path& folder) {
  std::vector<Target> targets = {{"y4m headers",
                                  "a.y4m",
                                  {frames_of("a.y4m", folder), y4m("W4 H2 F25:1 Ip A1:1 C420mpeg2", 12),
                                   y4m("W5 H3 F30000:1001 C444 XCOLORRANGE=FULL", 45)},
                                  mutate_y4m,
                                  read_y4m}};
#ifdef MOGA_FFMPEG
  const std::string mp4 = frames_of("a.mp4", folder);
  targets.push_back({"MP4 headers", "a.mp4", {mp4}, mutate_mp4, read_video});
  targets.push_back({"MP4 bytes", "a.mp4", {mp4}, mutate, read_video});
#endif
  return targets;
}

}  // namespace moga::test
