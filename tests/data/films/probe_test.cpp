// What the stages probe and cut make of damaged and odd files: each is read, read with its damage counted, or dropped
// with a reason. docs/finetuning.md has the same table.
#include <ATen/ATen.h>
#include <fnmatch.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "moga/core/files.h"
#include "moga/core/format.h"
#include "moga/core/log.h"
#include "moga/data/films/stages.h"
#include "tests/data/films/odd_film.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

namespace fs = std::filesystem;
using test::kOddColour;
using test::OddFilm;
using test::write_odd_film;
using Damage = std::function<void(const fs::path&)>;

struct Odd {
  const char* name;
  OddFilm film;
  const char* found;  // what `summary` says; * stands for numbers that depend on FFmpeg's version
  Damage damage = {};
};

// How far the mean colour of the first frame is from the film's, in levels.
double colour_error(const fs::path& path, const Record& film) {
  const auto reader = open_film(path, {.width = film.at("width"), .height = film.at("height")});
  reader->next();
  const at::Tensor mean = reader->pixels().to(at::kDouble).mean(at::IntArrayRef{0, 1});
  double worst = 0;
  for (int64_t i = 0; i < 3; ++i)
    worst = std::max(worst, std::abs(mean[i].item<double>() - kOddColour[static_cast<size_t>(i)]));
  return worst;
}

std::string reason(const Record& line, const fs::path& path) {
  std::string text = line.at("dropped").get<std::string>();
  const std::string prefix = path.string() + ": ";
  return "dropped: " + (text.starts_with(prefix) ? text.substr(prefix.size()) : text);
}

// One line about what the stages found.
std::string summary(const fs::path& path, const fs::path& out) {
  FilmsConfig config;
  config.input = path.parent_path().string();
  config.out = out.string();
  config.cut.method = CutMethod::kNone;
  const Record film = probe_films(config).at(0);
  if (is_dropped(film)) return reason(film, path);
  const Record shot = cut_films(config, {film}).at(0);
  if (is_dropped(shot)) return reason(shot, path);
  std::string text =
      formatted("%ldx%ld, %ld frames to %.2f s", film.at("width").get<int64_t>(), film.at("height").get<int64_t>(),
                shot.at("frames").get<int64_t>(), shot.at("end").get<double>());
  if (shot.contains("damaged")) text += formatted(", %ld damaged", shot.at("damaged").get<int64_t>());
  if (shot.contains("truncated")) text += ", truncated";
  if (film.at("interlaced")) text += ", interlaced";
  if (film.at("bits") != 8) text += formatted(", %ld bits", film.at("bits").get<int64_t>());
  if (film.at("hdr")) return text + ", HDR";
  if (film.at("pixel_format") == "gray") return text + ", grey";
  const double error = colour_error(path, film);
  return error < 3 ? text : text + formatted(", colour off by %.0f", error);
}

void expect(const std::vector<Odd>& films) {
  set_quiet(true);
  for (const Odd& odd : films) {
    const test::Folder folder;
    const fs::path path = folder / "film" / odd.name;
    fs::create_directories(path.parent_path());
    write_odd_film(path, odd.film);
    if (odd.damage) odd.damage(path);
    const std::string found = summary(path, folder / "out");
    EXPECT_EQ(fnmatch(odd.found, found.c_str(), 0), 0) << odd.name << ": " << found << ", expected: " << odd.found;
  }
}

Damage cut_off(double part) {
  return [part](const fs::path& path) {
    fs::resize_file(path, static_cast<uintmax_t>(part * static_cast<double>(fs::file_size(path))));
  };
}

// Replaces every `step`-th byte from a part of the file on.
Damage flip_bytes(double from, size_t step) {
  return [=](const fs::path& path) {
    std::string bytes = read_text(path);
    for (auto i = static_cast<size_t>(from * static_cast<double>(bytes.size())); i < bytes.size(); i += step)
      bytes[i] = static_cast<char>(bytes[i] ^ 0x55);
    write_text(path, bytes);
  };
}

Damage replace(const std::string& what, const std::string& by) {
  return [=](const fs::path& path) {
    std::string bytes = read_text(path);
    for (size_t at = bytes.find(what); at != std::string::npos; at = bytes.find(what, at + by.size()))
      bytes.replace(at, what.size(), by);
    write_text(path, bytes);
  };
}

Damage contents(const std::string& bytes) {
  return [=](const fs::path& path) { write_text(path, bytes); };
}

// Leaves packets of a transport stream out, by their numbers.
Damage lose_packets(bool (*lost)(size_t)) {
  return [=](const fs::path& path) {
    constexpr size_t kPacket = 188;
    const std::string bytes = read_text(path);
    std::string rest;
    for (size_t i = 0; i * kPacket < bytes.size(); ++i)
      if (!lost(i)) rest += bytes.substr(i * kPacket, kPacket);
    write_text(path, rest);
  };
}

// A second film after the first, in the same stream.
Damage append(const OddFilm& film) {
  return [=](const fs::path& path) {
    const fs::path second = path.parent_path().parent_path() / path.filename();
    write_odd_film(second, film);
    write_text(path, read_text(path) + read_text(second));
  };
}

constexpr const char* kWhole = "128x96, 50 frames to 2.00 s";
constexpr const char* kUnreadable = "dropped: not a video that FFmpeg can read, or truncated: *";
const OddFilm kFaststart = {.muxer_options = "movflags=+faststart"};

TEST(Probe, DamagedFiles) {
  expect({{"index_first.mp4", kFaststart, "128x96, * frames to * s*, truncated", cut_off(0.6)},
          {"index_lost.mp4", {}, kUnreadable, cut_off(0.9)},
          {"index_renamed.mp4", {}, kUnreadable, replace("moov", "mooo")},
          {"flipped.mp4", kFaststart, "128x96, * frames to * s, * damaged", flip_bytes(0.5, 97)},
          {"header_flipped.mp4", kFaststart, kUnreadable, flip_bytes(0, 17)},
          {"short.mkv", {}, "128x96, * frames to * s, truncated", cut_off(0.6)},
          {"flipped.mkv", {}, "128x96, * frames to * s, * damaged*", flip_bytes(0.5, 97)},
          {"short.avi",
           {.codec = "mjpeg", .format = AV_PIX_FMT_YUVJ420P, .range = AVCOL_RANGE_JPEG},
           "128x96, * frames to * s*, truncated",
           cut_off(0.6)},
          {"lost.ts", {}, "128x96, * frames to * s, * damaged", lose_packets([](size_t i) {
             return i > 20 && i % 13 == 0;
           })},
          {"late.ts", {}, "128x96, * frames to * s", lose_packets([](size_t i) { return i > 4 && i < 30; })},
          {"size_changes.ts",
           {},
           "dropped: its frames change size from 128x96 to 160x96; split it there",
           append({.width = 160})},
          {"codec_unknown.mp4",
           {},
           "dropped: no decoder for its video stream: Decoder not found",
           replace("avc1", "zzzz")}});
}

TEST(Probe, FilesThatAreNoFilms) {
  expect(
      {{"empty.mp4", {}, kUnreadable, contents("")},
       {"zeros.mp4", {}, kUnreadable, contents(std::string(5000, '\0'))},
       {"text.mp4", {}, kUnreadable, contents("This is not a film.\n")},
       {"playlist.mp4", {}, "dropped: not a video*", contents("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n")},
       {"sound.mp4", {.picture = false, .sound = true}, "dropped: contains no video stream"},
       {"sound_with_cover.mp4",
        {.codec = "mjpeg", .format = AV_PIX_FMT_YUVJ420P, .picture = false, .cover = true, .sound = true},
        "dropped: contains no video stream, only a cover picture"},
       {"one_frame.mp4", {.frames = 1}, "dropped: 0.040 s, expected at least 0.500 (probe.least_seconds)"},
       {"tiny.mp4", {.width = 32, .height = 32}, "dropped: 32x32, expected sides of at least 64 (probe.least_side)"}});
}

TEST(Probe, Containers) {
  expect(
      {{"sound.mov", {.sound = true}, kWhole},
       {"sound_longer.mkv", {.frames = 25, .sound = true}, "128x96, 25 frames to 1.00 s"},
       {"hevc.mkv", {.codec = "libx265", .codec_options = "x265-params=log-level=none"}, kWhole},
       {"fragments.mp4", {.muxer_options = "movflags=+frag_keyframe+empty_moov"}, kWhole},
       {"no_cues.mkv", {.muxer_options = "live=1"}, kWhole},
       {"vp8.webm", {.codec = "libvpx", .codec_options = "deadline=realtime"}, kWhole},
       {"mpeg4.avi", {.codec = "mpeg4"}, kWhole},
       {"h264.avi", {}, "128x96, 50 frames to 2.08 s"},  // AVI has decoding times only: two frames late, all alike
       {"broadcast.ts", {.codec = "mpeg2video"}, kWhole},
       {"prores.mov", {.codec = "prores_ks", .format = AV_PIX_FMT_YUV422P10LE}, "128x96, 50 frames to 2.00 s, 10 bits"},
       {"mjpeg.avi", {.codec = "mjpeg", .format = AV_PIX_FMT_YUVJ420P, .range = AVCOL_RANGE_JPEG}, kWhole}});
}

TEST(Probe, Times) {
  expect({{"variable.mkv", {.time = [](int64_t i) { return 30 * i + i * i; }}, "128x96, 50 frames to 3.87 s"},
          {"starts_late.mp4", {.time = [](int64_t i) { return 5000 + 40 * i; }}, kWhole},
          {"starts_early.mp4", {.time = [](int64_t i) { return 40 * i - 480; }}, "128x96, 38 frames to 1.52 s"},
          {"gap.mp4", {.time = [](int64_t i) { return 40 * i + (i < 25 ? 0 : 3000); }}, "128x96, 50 frames to 5.00 s"},
          {"repeated.mkv",
           {.codec = "ffv1", .time = [](int64_t i) { return 40 * (i - i % 5 / 4); }},
           "128x96, 40 frames to 1.96 s, 10 damaged"},
          {"fast.mp4", {.frames = 120, .time = [](int64_t i) { return 25 * i / 3; }}, "128x96, 120 frames to 1.00 s"},
          {"slow.mp4", {.frames = 5, .time = [](int64_t i) { return 500 * i; }}, "128x96, 5 frames to 2.50 s"}});
}

TEST(Probe, Pictures) {
  const int32_t one = 1 << 16;
  expect({{"turned.mp4", {.turn = {0, one, -one, 0}}, "96x128, 50 frames to 2.00 s"},
          {"upside_down.mp4", {.turn = {-one, 0, 0, -one}}, kWhole},
          {"oblique.mp4",
           {.turn = {46341, 46341, -46341, 46341}},
           "dropped: asks for a rotation that is not a multiple of 90 degrees"},
          {"interlaced.mp4", {.interlaced = true}, "128x96, 50 frames to 2.00 s, interlaced"},
          {"anamorphic.mp4", {.pixel_aspect = {16, 11}}, "186x96, 50 frames to 2.00 s"},
          {"odd_size.mp4", {.format = AV_PIX_FMT_YUV444P, .width = 129, .height = 97}, "129x97, 50 frames to 2.00 s"},
          {"odd_size_420.mkv", {.codec = "ffv1", .width = 129, .height = 97}, "129x97, 50 frames to 2.00 s"},
          {"grey.mkv", {.codec = "ffv1", .format = AV_PIX_FMT_GRAY8}, "128x96, 50 frames to 2.00 s, grey"}});
}

TEST(Probe, Colours) {
  const OddFilm hd = {.matrix = AVCOL_SPC_BT709, .primaries = AVCOL_PRI_BT709, .transfer = AVCOL_TRC_BT709};
  const OddFilm pq = {.format = AV_PIX_FMT_YUV420P10LE,
                      .matrix = AVCOL_SPC_BT2020_NCL,
                      .primaries = AVCOL_PRI_BT2020,
                      .transfer = AVCOL_TRC_SMPTE2084};
  OddFilm hlg = pq, wide = pq, full = hd, deep = hd;
  hlg.transfer = AVCOL_TRC_ARIB_STD_B67;
  wide.primaries = AVCOL_PRI_UNSPECIFIED, wide.transfer = AVCOL_TRC_BT2020_10;
  full.range = AVCOL_RANGE_JPEG;
  deep.format = AV_PIX_FMT_YUV420P10LE;
  expect({{"untagged.mp4", {}, kWhole},
          {"601.mp4", {.matrix = AVCOL_SPC_SMPTE170M, .range = AVCOL_RANGE_MPEG}, kWhole},
          {"709.mp4", hd, kWhole},
          {"709_full.mp4", full, kWhole},
          {"709_10_bit.mp4", deep, "128x96, 50 frames to 2.00 s, 10 bits"},
          {"2020_matrix.mp4", wide, "128x96, 50 frames to 2.00 s, 10 bits"},
          {"pq.mp4", pq, "128x96, 50 frames to 2.00 s, 10 bits, HDR"},
          {"hlg.mp4", hlg, "128x96, 50 frames to 2.00 s, 10 bits, HDR"}});
}

}  // namespace
}  // namespace moga
