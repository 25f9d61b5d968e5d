// Stage merge: adjacent shots become samples of whole latent frames. See stages.h.
//
// With n frames at the model's rate, a shot gives (n - 1) / 4 + 1 latent frames at the start of a sample and n / 4
// later, because latent frame 0 is one pixel frame and every other is four. What is left over is cut off at the shot's
// end.
#include <algorithm>
#include <cmath>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/format.h"
#include "moga/core/log.h"
#include "moga/data/films/buckets.h"
#include "moga/data/films/stages.h"
#include "moga/data/limits.h"

namespace moga {
namespace {

constexpr double kRounding = 1e-3;  // of times, in seconds

int64_t latent_frames(int64_t frames, bool first) {
  if (!first) return frames / kLatentStride;
  return frames < 1 ? 0 : (frames - 1) / kLatentStride + 1;
}

int64_t pixel_frames(int64_t latents, bool first) {
  return first ? kWanPixelsPerToken.pixel_frames(latents) : latents * kLatentStride;
}

// A shot, or a part of one, at the model's rate.
struct Piece {
  Record shot;  // its line in cut.jsonl
  Record film;  // its line in probe.jsonl
  double start = 0;
  int64_t frames = 0;   // that it has
  int64_t latents = 0;  // that are used
  std::string caption;

  // The part of the film's picture that the shot uses.
  Crop picture() const {
    if (!shot.contains("crop")) return {0, 0, film.at("width"), film.at("height")};
    const auto box = shot.at("crop").get<std::vector<int64_t>>();
    check(box.size() == 4 && std::min(box[0], box[1]) >= 0 && std::min(box[2], box[3]) > 0 &&
              box[0] + box[2] <= film.at("width").get<int64_t>() && box[1] + box[3] <= film.at("height").get<int64_t>(),
          film.at("path").get<std::string>(), ": crop of shot ", shot.at("shot").dump(), " is ", shot.at("crop").dump(),
          ", expected [x, y, width, height] within ", film.at("width").dump(), "x", film.at("height").dump());
    return {box[0], box[1], box[2], box[3]};
  }
};

class Merger {
 public:
  Merger(const FilmsConfig& config, std::string name)
      : config_(config), buckets_(make_buckets(config.merge)), name_(std::move(name)) {
    most_ = std::max<int64_t>(1, latent_frames(frames_in(config.merge.max_seconds), true));
    least_ = std::min(most_, std::max<int64_t>(1, latent_frames(frames_in(config.merge.min_seconds), true)));
    least_shot_ = std::max<int64_t>(1, frames_in(config.merge.min_shot_seconds) / kLatentStride);
  }

  // A shot that follows the one before; long ones are divided.
  void add(Piece piece) {
    if (!config_.merge.multi_shot) close();
    for (;;) {
      const bool first = pieces_.empty();
      const int64_t latents = latent_frames(piece.frames, first), room = most_ - used_;
      if (latents < least_shot_) {
        drop_shot(piece, latents);
        return;
      }
      if (latents > room && !first) {
        close();
        continue;
      }
      piece.latents = std::min(latents, room);
      pieces_.push_back(piece);
      used_ += piece.latents;
      if (latents <= room) return;
      const int64_t taken = pixel_frames(piece.latents, first);
      piece.start += static_cast<double>(taken) / config_.fps;
      piece.frames -= taken;
      close();
    }
  }

  // The files of one sequence: each a shot of a given number of latent frames, together one sample.
  void add_listed(Piece piece, int64_t latents) {
    const int64_t found = latent_frames(piece.frames, pieces_.empty());
    piece.latents = latents > 0 ? latents : std::max<int64_t>(1, found);
    if (piece.latents > found && problem_.empty())
      problem_ =
          formatted("%ld of %ld latent frames of shot %zu ", found, piece.latents, pieces_.size()) + retiming(piece);
    used_ += piece.latents;
    pieces_.push_back(std::move(piece));
  }

  // Ends the sample.
  void close() {
    if (pieces_.empty()) return;
    if (problem_.empty() && used_ < least_)
      problem_ = formatted("%ld of %ld latent frames ", used_, least_) + retiming(pieces_.front());
    records_.push_back(sample());
    pieces_.clear();
    problem_.clear();
    used_ = 0;
  }

  void drop(const Record& shot, const std::string& why) {
    close();
    Record record = {{"sample", next_name()}, {"film", shot.at("film")}};
    if (shot.contains("shot")) record["shot"] = shot.at("shot");
    record["dropped"] = why;
    records_.push_back(std::move(record));
  }
  void fail_sample(const std::string& why) {
    if (problem_.empty()) problem_ = why;
  }
  std::vector<Record> finish() {
    close();
    return std::move(records_);
  }

 private:
  int64_t frames_in(double seconds) const { return static_cast<int64_t>(std::floor(seconds * config_.fps + 1e-6)); }
  std::string next_name() const { return name_ + formatted("-%03zu", records_.size()); }
  std::string retiming(const Piece& piece) const {
    return formatted("after re-timing %.3f → %.3f fps", piece.film.value("fps", 0.0), config_.fps);
  }
  void drop_shot(const Piece& piece, int64_t latents) {
    drop(piece.shot, formatted("%ld of %ld latent frames of a shot ", latents, least_shot_) + retiming(piece) +
                         " (merge.min_shot_seconds)");
  }

  Record sample() {
    Record record = {{"sample", next_name()}, {"film", pieces_.front().shot.at("film")}, {"latent_frames", used_}};
    const Bucket box = fill(record);
    Record shots = Record::array();
    for (size_t i = 0; i < pieces_.size(); ++i) shots.push_back(shot_record(pieces_[i], i == 0, box));
    record["shots"] = std::move(shots);
    if (!problem_.empty()) record["dropped"] = problem_;
    return record;
  }

  // Chooses the bucket by the first shot and checks the others with it.
  Bucket fill(Record& record) {
    const Crop picture = pieces_.front().picture();
    const BucketFit fit = fit_bucket(buckets_, picture.width, picture.height);
    record["width"] = fit.bucket.width;
    record["height"] = fit.bucket.height;
    record["aspect"] = fit.bucket.aspect;
    record["cropped"] = std::round(fit.cropped * 1000) / 1000;
    record["upscale"] = std::round(fit.upscale * 1000) / 1000;
    for (const Piece& piece : pieces_) check_fit(piece, fit.bucket);
    return fit.bucket;
  }

  void check_fit(const Piece& piece, const Bucket& bucket) {
    const MergeConfig& merge = config_.merge;
    const Crop picture = piece.picture();
    const BucketFit fit = fit_bucket({bucket}, picture.width, picture.height);
    if (fit.upscale > merge.max_upscale + 1e-9)
      fail_sample(formatted("%ldx%ld would be enlarged %.2f times to %ldx%ld, at most %.2f (merge.max_upscale)",
                            picture.width, picture.height, fit.upscale, bucket.width, bucket.height,
                            merge.max_upscale));
    if (fit.cropped > merge.max_crop)
      fail_sample(formatted("%.1f %% of %ldx%ld would be cut off for %s, at most %.1f %% (merge.max_crop)",
                            100 * fit.cropped, picture.width, picture.height, bucket.aspect.c_str(),
                            100 * merge.max_crop));
  }

  Record shot_record(const Piece& piece, bool first, const Bucket& bucket) const {
    const Crop picture = piece.picture();
    const BucketFit fit = fit_bucket({bucket}, picture.width, picture.height);
    return {{"film", piece.shot.at("film")},
            {"shot", piece.shot.at("shot")},
            {"path", piece.film.at("path")},
            {"start", std::round(piece.start * 1e6) / 1e6},
            {"frames", pixel_frames(piece.latents, first)},
            {"latent_frames", piece.latents},
            {"crop", {picture.x + fit.crop.x, picture.y + fit.crop.y, fit.crop.width, fit.crop.height}},
            {"interlaced", piece.film.at("interlaced")},
            {"caption", piece.caption}};
  }

  const FilmsConfig& config_;
  std::vector<Bucket> buckets_;
  std::string name_;
  int64_t most_ = 1, least_ = 1, least_shot_ = 1;  // latent frames
  std::vector<Piece> pieces_;
  int64_t used_ = 0;
  std::string problem_;
  std::vector<Record> records_;
};

// The caption of a film's shot, with the film's own in front; `problem` when there is none.
std::string caption_of(const Record& film, const Record& shot, size_t shots, bool uncaptioned, std::string& problem) {
  const std::string global = film.value("global_caption", "");
  std::string own = shot.value("caption", "");
  const auto captions = film.at("captions").get<std::vector<std::string>>();
  const auto number = shot.at("shot").get<size_t>();
  if (own.empty() && captions.size() == 1) own = captions[0];
  if (own.empty() && captions.size() > 1) {
    if (captions.size() != shots)
      problem = formatted("%zu captions for %zu shots, expected one, or one per shot", captions.size(), shots);
    else
      own = captions[number];
  }
  const std::string caption = global.empty() || own.empty() ? global + own : global + " " + own;
  if (caption.empty() && problem.empty() && !uncaptioned) problem = "no caption (merge.uncaptioned is false)";
  return caption;
}

void merge_film(Merger& merger, const Record& film, const std::vector<Record>& shots, const FilmsConfig& config) {
  for (const Record& shot : shots) {
    if (is_dropped(shot) || is_dropped(film)) {
      merger.drop(shot,
                  is_dropped(film) ? film.at("dropped").get<std::string>() : shot.at("dropped").get<std::string>());
      continue;
    }
    std::string problem;
    Piece piece;
    piece.shot = shot;
    piece.film = film;
    piece.start = shot.at("start").get<double>();
    piece.caption = caption_of(film, shot, shots.size(), config.merge.uncaptioned, problem);
    const double seconds = shot.at("end").get<double>() - piece.start;
    piece.frames = static_cast<int64_t>(std::ceil((seconds - kRounding) * config.fps));
    if (!problem.empty())
      merger.drop(shot, problem);
    else if (film.contains("sequence"))
      merger.add_listed(std::move(piece), film.value("latent_frames", int64_t{0}));
    else
      merger.add(std::move(piece));
  }
}

// Films that are merged together: those of a sequence, or one.
using Unit = std::vector<const Record*>;

std::vector<Unit> units_of(const std::vector<Record>& films) {
  std::vector<Unit> units;
  for (const Record& film : films) {
    const bool joins = !units.empty() && film.contains("sequence") &&
                       units.back().front()->value("sequence", "") == film.at("sequence").get<std::string>();
    if (!joins) units.emplace_back();
    units.back().push_back(&film);
  }
  return units;
}

std::vector<Record> merge_unit(const Unit& unit, const std::map<int64_t, std::vector<Record>>& shots,
                               const FilmsConfig& config) {
  Merger merger(config, formatted("%05ld", unit.front()->at("film").get<int64_t>()));
  for (const Record* film : unit) merge_film(merger, *film, shots.at(film->at("film").get<int64_t>()), config);
  return merger.finish();
}

}  // namespace

std::vector<Record> merge_films(const FilmsConfig& config, const std::vector<Record>& films,
                                const std::vector<Record>& shots) {
  std::map<int64_t, std::vector<Record>> by_film;
  for (const Record& shot : shots) by_film[shot.at("film").get<int64_t>()].push_back(shot);
  for (const Record& film : films) by_film[film.at("film").get<int64_t>()];
  Manifest manifest(config.out, name_of(FilmStage::kMerge), to_json(config.merge) + formatted("%.17g", config.fps));
  for (const Unit& unit : units_of(films)) {
    std::string input;
    for (const Record* film : unit) input += film->dump() + to_lines(by_film.at(film->at("film").get<int64_t>()));
    manifest.group(input, [&] { return merge_unit(unit, by_film, config); });
  }
  return manifest.finish();
}

}  // namespace moga
