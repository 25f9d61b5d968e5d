// Stage crop: the part of the picture that each shot uses. See stages.h.
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/format.h"
#include "moga/core/log.h"
#include "moga/data/films/borders.h"
#include "moga/data/films/marks.h"
#include "moga/data/films/rectangles.h"
#include "moga/data/films/shots.h"
#include "moga/data/films/stages.h"

namespace moga {
namespace {

constexpr int64_t kLongestSide = 960;  // of the frames that are looked at
constexpr double kRounding = 1e-4;     // of times, in seconds
constexpr int64_t kFewestShots = 10;   // from which what stays through all shots of a film is looked for

// A film's displayed picture, and the frames that are looked at, `scale` times smaller.
struct Sizes {
  int64_t width = 0, height = 0, scale = 1;
  FilmView view() const {
    return {.width = std::max<int64_t>(1, width / scale),
            .height = std::max<int64_t>(1, height / scale),
            .scaler = Scaler::kArea};
  }
};

Sizes sizes_of(const Record& film) {
  Sizes sizes = {film.at("width"), film.at("height"), 1};
  sizes.scale = (std::max(sizes.width, sizes.height) + kLongestSide - 1) / kLongestSide;
  return sizes;
}

struct Looked {
  explicit Looked(double black) : borders(black) {}
  std::vector<double> times;
  size_t next = 0;  // of times
  BorderFinder borders;
  MarkFinder marks;
};

void add_frame(Looked& shot, FilmReader& frame, const CropConfig& config) {
  bool wanted = false;
  for (; shot.next < shot.times.size() && frame.next_time() > shot.times[shot.next] + kRounding; ++shot.next)
    wanted = true;
  if (!wanted) return;
  const at::Tensor pixels = frame.pixels();
  const LumaFrame luma(pixels.const_data_ptr<uint8_t>(), pixels.size(1), pixels.size(0));
  if (config.borders) shot.borders.add(luma);
  if (config.marks) shot.marks.add(luma);
}

// Without the borders, in pixels of the frames that are looked at. Next to a border one more pixel is cut off: the
// border's end is blurred.
Crop inside(const Borders& borders, int64_t width, int64_t height) {
  std::array<int64_t, 4> cut = borders.sides;
  for (int64_t& side : cut) side += side > 0;
  return {cut[0], cut[1], std::max<int64_t>(0, width - cut[0] - cut[2]),
          std::max<int64_t>(0, height - cut[1] - cut[3])};
}

Crop common_part(const Crop& a, const Crop& b) {
  const int64_t x = std::max(a.x, b.x), y = std::max(a.y, b.y);
  return {x, y, std::max<int64_t>(0, std::min(a.x + a.width, b.x + b.width) - x),
          std::max<int64_t>(0, std::min(a.y + a.height, b.y + b.height) - y)};
}

// In pixels of the film's picture; sides that touch the frame's edge reach the picture's.
Crop scaled(const Crop& crop, const Sizes& sizes) {
  const FilmView view = sizes.view();
  const auto end = [&](int64_t at, int64_t small, int64_t full) { return at >= small ? full : at * sizes.scale; };
  const Crop full = {crop.x * sizes.scale, crop.y * sizes.scale, 0, 0};
  return {full.x, full.y, end(crop.x + crop.width, view.width, sizes.width) - full.x,
          end(crop.y + crop.height, view.height, sizes.height) - full.y};
}

Record numbers(const Crop& crop) { return {crop.x, crop.y, crop.width, crop.height}; }

// The boxes of a shot's line, as an OCR tool writes them: [[x, y, width, height], …] of the displayed picture.
std::vector<Crop> given_boxes(const Record& shot) {
  std::vector<Crop> boxes;
  if (!shot.contains("boxes")) return boxes;
  try {
    for (const auto& box : shot.at("boxes").get<std::vector<std::vector<double>>>()) {
      check(box.size() == 4 && box[2] >= 0 && box[3] >= 0, "expected [x, y, width, height]");
      const auto x = static_cast<int64_t>(std::floor(box[0])), y = static_cast<int64_t>(std::floor(box[1]));
      boxes.push_back({x, y, static_cast<int64_t>(std::ceil(box[0] + box[2])) - x,
                       static_cast<int64_t>(std::ceil(box[1] + box[3])) - y});
    }
  } catch (const std::exception&) {
    fail("boxes of shot ", shot.at("shot").dump(), " are ", shot.at("boxes").dump(),
         ", expected a list of [x, y, width, height]");
  }
  return boxes;
}

class FilmCrops {
 public:
  FilmCrops(const Record& film, const std::vector<Record>& shots, const CropConfig& config)
      : film_(film), shots_(shots), config_(config), sizes_(sizes_of(film)) {}

  std::vector<Record> records() {
    look();
    std::vector<Record> records;
    size_t place = 0;
    for (const Record& shot : shots_)
      if (!is_dropped(shot)) records.push_back(record_of(shot, place++));
    return records;
  }

 private:
  void look() {
    std::vector<Looked> looked;
    for (const Record& shot : shots_) {
      looked.emplace_back(config_.black);
      if (!is_dropped(shot)) looked.back().times = moments(shot, config_.frames);
    }
    // A finder holds sums per pixel, so a shot's is emptied when the shot is over.
    size_t current = 0;
    const auto finish_until = [&](size_t end) {
      for (; current < end; ++current)
        if (!is_dropped(shots_[current])) finish(looked[current]);
    };
    if (config_.borders || config_.marks)
      visit_frames(film_, shots_, sizes_.view(), [&](size_t shot, FilmReader& frame) {
        finish_until(shot);
        add_frame(looked[shot], frame, config_);
      });
    finish_until(shots_.size());
    settle_borders(borders_);
    settle_marks();
  }

  void finish(Looked& shot) {
    borders_.push_back(config_.borders && shot.next > 0 ? shot.borders.borders() : Borders());
    if (shot.marks.frames() > 0) {
      const FilmView view = sizes_.view();
      marks_.push_back(shot.marks.marks(inside(borders_.back(), view.width, view.height)));
      film_marks_.add(shot.marks);
    } else {
      marks_.emplace_back();
    }
    shot.marks = MarkFinder();
    shot.borders = BorderFinder(config_.black);
  }

  // What stays through all shots is a mark in each.
  void settle_marks() {
    if (film_marks_.frames() < kFewestShots) return;
    const FilmView view = sizes_.view();
    Crop picture = {0, 0, view.width, view.height};
    for (const Borders& borders : borders_) picture = common_part(picture, inside(borders, view.width, view.height));
    const MarkFinder::Marks common = film_marks_.marks(picture);
    film_boxes_ = common.boxes;
    for (MarkFinder::Marks& marks : marks_) marks.moves = marks.moves || common.moves;
  }

  // Those of the film and those that are given are marks; what stays in one shot alone may belong to its scene.
  struct Boxes {
    std::vector<Crop> sure, guessed;
  };
  Boxes boxes_of(const Record& shot, size_t place) const {
    Boxes boxes;
    for (const Crop& box : film_boxes_) boxes.sure.push_back(scaled(box, sizes_));
    for (const Crop& box : given_boxes(shot)) boxes.sure.push_back(box);
    for (const Crop& box : marks_[place].boxes) boxes.guessed.push_back(scaled(box, sizes_));
    return boxes;
  }

  // The largest crop without the boxes, and the part of the picture that it has; 0 where there is none.
  struct Left {
    Crop crop = {};
    double part = 0;
  };
  static Left left_of(const Crop& picture, const std::vector<Crop>& boxes) {
    if (area_of(picture) == 0 || boxes.size() > kMostBoxes) return {};
    const Crop crop = largest_crop(picture, boxes);
    return {crop, area_of(crop) / area_of(picture)};
  }

  Record record_of(const Record& shot, size_t place) const {
    const FilmView view = sizes_.view();
    const Crop picture = scaled(inside(borders_[place], view.width, view.height), sizes_);
    const Boxes found = boxes_of(shot, place);
    std::vector<Crop> boxes = found.sure;
    boxes.insert(boxes.end(), found.guessed.begin(), found.guessed.end());
    Left left = left_of(picture, boxes);
    const bool too_much = !found.guessed.empty() && left.part < config_.min_left;
    if (too_much) {
      boxes = found.sure;
      left = left_of(picture, boxes);
    }
    Record record = {{"film", film_.at("film")}, {"shot", shot.at("shot")}};
    if (config_.borders)
      record["borders"] = {picture.x, picture.y, sizes_.width - picture.x - picture.width,
                           sizes_.height - picture.y - picture.height};
    if (config_.marks && !marks_[place].moves) record["marks"] = "not known: too little moves";
    if (too_much)
      record["marks"] =
          "not used: what stays in this shot alone may belong to its scene, and too little would be left without it";
    if (!boxes.empty()) {
      record["marks"] = Record::array();
      for (const Crop& box : boxes) record["marks"].push_back(numbers(box));
    }
    return add_crop(std::move(record), picture, boxes.size(), left);
  }

  Record add_crop(Record record, const Crop& picture, size_t boxes, const Left& left) const {
    if (area_of(picture) == 0) {
      record["dropped"] = "black borders cover the picture (crop.black)";
      return record;
    }
    if (boxes > kMostBoxes) {
      record["dropped"] = formatted("%zu boxes in the picture, at most %zu can be avoided", boxes, kMostBoxes);
      return record;
    }
    record["left"] = std::round(left.part * 1000) / 1000;
    if (left.part < config_.min_left)
      record["dropped"] = formatted(
          "%.1f %% of the picture is left without its marks, expected at least %.1f %% "
          "(crop.min_left)",
          100 * left.part, 100 * config_.min_left);
    else
      record["crop"] = numbers(left.crop);
    return record;
  }

  const Record& film_;
  const std::vector<Record>& shots_;
  const CropConfig& config_;
  Sizes sizes_;
  std::vector<Borders> borders_;          // of the shots that are not dropped
  std::vector<MarkFinder::Marks> marks_;  // the same
  MarkFinder film_marks_;
  std::vector<Crop> film_boxes_;  // what stays through all shots
};

std::string input_of(const Record& film, const std::vector<Record>& shots) {
  std::string input = film_key(film) + shots_key(shots);
  for (const Record& shot : shots)
    if (shot.contains("boxes") && !is_dropped(shot)) input += shot.at("shot").dump() + shot.at("boxes").dump();
  return input;
}

}  // namespace

void CropConfig::validate() const {
  check(frames >= 2 && frames <= 1000, "frames is ", frames, ", expected 2 to 1000");
  check(black >= 0 && black < 255, "black is ", black, ", expected 0 to below 255");
  check(min_left >= 0 && min_left <= 1, "min_left is ", min_left, ", expected 0 to 1");
}

std::vector<Record> crop_films(const FilmsConfig& config, const std::vector<Record>& films,
                               const std::vector<Record>& shots) {
  if (!config.crop.enabled) return {};
  Manifest manifest(config.out, name_of(FilmStage::kCrop), to_json(config.crop));
  per_film(manifest, "crop", films, shots, input_of, [&](const Record& film, const std::vector<Record>& own) {
    return FilmCrops(film, own, config.crop).records();
  });
  return manifest.finish();
}

}  // namespace moga
