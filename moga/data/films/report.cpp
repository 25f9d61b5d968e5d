// Stage report: report.html from the manifests. See stages.h.
//
// The page is report_page.html with the rows as JSON. A row's thumbnails, one per shot, are one JPEG in base64, which
// the page decodes when the row is in view. They are made once and kept in report.jsonl.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "moga/core/base64.h"
#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/html_page.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/films/report_page_text.h"
#include "moga/data/films/shots.h"
#include "moga/data/films/stages.h"
#include "moga/data/video/image.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

constexpr size_t kMostThumbnails = 24;  // of a row
constexpr const char* kPlaceOfData = "\"the data of a report\"";

using Films = std::map<int64_t, const Record*>;

// The shots whose thumbnails a row has: those of a sample, or the dropped one.
struct RowShot {
  Record film;  // its number
  std::string path;
  double middle = 0;  // seconds
  bool interlaced = false;
};

std::vector<RowShot> shots_of(const Record& line, const Films& films, const std::map<ShotName, const Record*>& cuts,
                              double fps) {
  std::vector<RowShot> shots;
  if (line.contains("shots")) {
    for (const Record& shot : line.at("shots"))
      shots.push_back({shot.at("film"), shot.at("path"),
                       shot.at("start").get<double>() + shot.at("frames").get<double>() / fps / 2,
                       shot.at("interlaced")});
  } else if (line.contains("shot")) {
    const auto cut = cuts.find(shot_name(line));
    const auto film = films.find(line.at("film").get<int64_t>());
    if (cut != cuts.end() && film != films.end() && cut->second->contains("start"))
      shots.push_back({line.at("film"), film->second->at("path"), moments(*cut->second, 1).front(),
                       film->second->value("interlaced", false)});
  }
  if (shots.size() > kMostThumbnails) shots.resize(kMostThumbnails);
  return shots;
}

// uint8 [3, Y, X]; grey where the frame cannot be read.
at::Tensor thumbnail(const RowShot& shot, int64_t width, int64_t height) {
  try {
    const auto reader = open_film(
        shot.path,
        {.width = width, .height = height, .scaler = Scaler::kArea, .deinterlace = shot.interlaced, .threads = 1});
    return frames_at(*reader, {shot.middle}).front().permute({2, 0, 1}).contiguous();
  } catch (const Interrupted&) {
    throw;
  } catch (const Error&) {
    return at::full({3, height, width}, 128, at::kByte);
  }
}

std::string strip(const std::vector<RowShot>& shots, const Films& films, const ReportConfig& config) {
  if (shots.empty()) return "";
  const Record& film = *films.at(shots.front().film.get<int64_t>());
  const double aspect = film.at("height").get<double>() / film.at("width").get<double>();
  const auto height = std::clamp<int64_t>(std::llround(static_cast<double>(config.thumbnail_width) * aspect), 8,
                                          2 * config.thumbnail_width);
  std::vector<at::Tensor> pictures;
  for (const RowShot& shot : shots) pictures.push_back(thumbnail(shot, config.thumbnail_width, height));
  return base64(jpeg_bytes(at::cat(pictures, 2), static_cast<int>(config.quality)));
}

Record scores_of(const ShotName& name, const std::map<ShotName, Record>& scores) {
  const auto found = scores.find(name);
  if (found == scores.end()) return nullptr;
  Record numbers = found->second;
  numbers.erase("hashes");
  return numbers;
}

// A line of merge.jsonl for the page: without what it does not show.
Record row_of(const Record& line, const std::map<ShotName, Record>& scores, const std::string& thumbnails) {
  Record row = {{"sample", line.at("sample")}, {"film", line.at("film")}};
  for (const char* key : {"dropped", "latent_frames", "width", "height", "shot"})
    if (line.contains(key)) row[key] = line.at(key);
  Record shots = Record::array();
  if (line.contains("shots"))
    for (const Record& shot : line.at("shots"))
      shots.push_back({{"film", shot.at("film")},
                       {"shot", shot.at("shot")},
                       {"start", shot.at("start")},
                       {"frames", shot.at("frames")},
                       {"caption", shot.at("caption")},
                       {"crop", shot.at("crop")},
                       {"scores", scores_of(shot_name(shot), scores)}});
  else if (line.contains("shot"))
    shots.push_back(
        {{"film", line.at("film")}, {"shot", line.at("shot")}, {"scores", scores_of(shot_name(line), scores)}});
  row["shots"] = std::move(shots);
  if (!thumbnails.empty()) row["thumbnails"] = thumbnails;
  return row;
}

Record film_of(const Record& film) {
  Record own = {{"film", film.at("film")}, {"path", film.at("path")}};
  for (const char* key : {"width", "height", "fps", "seconds", "dropped"})
    if (film.contains(key)) own[key] = film.at(key);
  return own;
}

// report.jsonl: a line of thumbnails per sample.
std::vector<Record> make_strips(const FilmsConfig& config, const std::vector<Record>& samples, const Films& films,
                                const std::map<ShotName, const Record*>& cuts) {
  Manifest manifest(config.out, name_of(FilmStage::kReport), to_json(config.report));
  Progress progress("report", static_cast<int64_t>(samples.size()), "sample");
  for (const Record& line : samples) {
    const std::vector<RowShot> shots = shots_of(line, films, cuts, config.fps);
    std::string input = line.at("sample").get<std::string>() + "\n";
    for (const RowShot& shot : shots)
      input += film_key(*films.at(shot.film.get<int64_t>())) + " at " + std::to_string(shot.middle) + "\n";
    manifest.group(input, [&]() -> std::vector<Record> {
      return {{{"sample", line.at("sample")}, {"thumbnails", strip(shots, films, config.report)}}};
    });
    progress.advance();
  }
  return manifest.finish();
}

std::string text_of(const Record& record) { return record.dump(-1, ' ', false, Record::error_handler_t::replace); }

// The page, written row by row: the thumbnails of a long film are many megabytes.
class Page {
 public:
  explicit Page(const fs::path& path)
      : file_(path), out_(file_.temporary(), std::ios::binary), around_(page_around_data(kReportPage, kPlaceOfData)) {}

  void begin(const FilmsConfig& config, const std::vector<Record>& films) {
    Record all = Record::array();
    for (const Record& film : films) all.push_back(film_of(film));
    const Record about = {
        {"fps", config.fps}, {"input", config.input}, {"thumbnail_width", config.report.thumbnail_width}};
    out_ << around_.before;
    add("{\"about\":" + text_of(about) + ",\"films\":" + text_of(all) + ",\"rows\":[");
  }
  void add_row(const Record& row) { add((rows_++ == 0 ? "" : ",") + text_of(row)); }
  void finish() {
    add("]}");
    out_ << around_.after;
    out_.close();
    check(out_.good(), file_.path().string(), ": cannot be written");
    file_.commit();
    log_info(file_.path().string(), ": ", rows_, " rows");
  }

 private:
  void add(const std::string& json_text) { out_ << escaped_for_script(json_text); }

  PendingFile file_;
  std::ofstream out_;
  PageAroundData around_;
  int64_t rows_ = 0;
};

// Samples that could not be encoded, and why.
std::map<std::string, std::string> lost_samples(const std::vector<Record>& encoded) {
  std::map<std::string, std::string> lost;
  for (const Record& line : encoded)
    if (is_dropped(line)) lost[line.at("sample").get<std::string>()] = line.at("dropped").get<std::string>();
  return lost;
}

std::map<ShotName, Record> numbers_of(const std::vector<Record>& scores) {
  std::map<ShotName, Record> numbers;
  for (const Record& score : scores)
    if (score.contains("scores")) numbers[shot_name(score)] = score.at("scores");
  return numbers;
}

}  // namespace

void write_report(const FilmsConfig& config, const std::vector<Record>& films, const std::vector<Record>& cuts,
                  const std::vector<Record>& scores, const std::vector<Record>& samples,
                  const std::vector<Record>& encoded) {
  if (!config.report.enabled) return;
  Films film_lines;
  for (const Record& film : films) film_lines[film.at("film").get<int64_t>()] = &film;
  std::map<ShotName, const Record*> cut_lines;
  for (const Record& cut : cuts) cut_lines[shot_name(cut)] = &cut;
  const std::map<ShotName, Record> numbers = numbers_of(scores);
  const std::map<std::string, std::string> lost = lost_samples(encoded);

  const std::vector<Record> strips = make_strips(config, samples, film_lines, cut_lines);
  std::map<std::string, const Record*> strip_of;
  for (const Record& line : strips) strip_of[line.at("sample").get<std::string>()] = &line;
  Page page(fs::path(config.out) / "report.html");
  page.begin(config, films);
  for (const Record& line : samples) {
    const std::string name = line.at("sample").get<std::string>();
    const auto made = strip_of.find(name);
    Record row = row_of(line, numbers, made == strip_of.end() ? "" : made->second->value("thumbnails", ""));
    if (const auto found = lost.find(name); found != lost.end()) row["dropped"] = found->second;
    page.add_row(row);
  }
  page.finish();
}

}  // namespace moga
