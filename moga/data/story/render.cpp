// From story to frames. The layers of a place are drawn once as panoramas, as wide as the shots need. A shot samples
// them through its camera (magnification, blur), composes them with parallax and drift, and paints the persons on top.
// Layers that do not move during a shot are composed once per shot.
#include "moga/data/story/render.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "moga/core/check.h"
#include "moga/data/story/actor.h"
#include "moga/data/story/picture.h"
#include "moga/data/story/scene.h"
#include "moga/data/story/shapes.h"

namespace moga {
namespace {

constexpr float kPanoramaMargin = 1.3f;  // frame heights beyond the picture on either side
constexpr int64_t kFramesAThread = 4;    // fewer frames are not worth a thread

// The camera of a kind of shot: sideways shift, magnification, height of the horizon in the picture, and blur in frame
// heights (the camera focuses on the person).
struct View {
  float centre, zoom, horizon, blur;
};
View view_of(ShotKind kind) {
  switch (kind) {
    case ShotKind::medium:
      return {0.30f, 1.40f, 0.55f, 0.010f};
    case ShotKind::close_up:
      return {-0.35f, 1.80f, 0.53f, 0.018f};
    case ShotKind::two_shot:
      return {-0.12f, 1.25f, 0.56f, 0.007f};
    default:
      return {0, 1, kHorizon, 0};
  }
}

// State shared by all shots of a story.
struct Stage {
  const Story& story;
  float half_width;        // of the picture, in frame heights
  int64_t panorama_width;  // of the whole panorama, in pixels
  float half_panorama;     // in frame heights
  Scene scene;
};

// Frames [begin, end) of a shot, counted from its first frame.
struct Take {
  const StoryShot& shot;
  int64_t begin, end;
};

Stage set_stage(const Story& story) {
  const auto height = static_cast<float>(story.config.height);
  const auto margin = static_cast<int64_t>(std::lround(kPanoramaMargin * height));
  const int64_t width = story.config.width + 2 * margin;
  const float half_panorama = 0.5f * static_cast<float>(width) / height;
  return {.story = story,
          .half_width = 0.5f * static_cast<float>(story.config.width) / height,
          .panorama_width = width,
          .half_panorama = half_panorama,
          .scene = make_scene(story.place, story.light, story.seed, half_panorama)};
}

bool is_seen(const Layer& layer, const StoryShot& shot) {
  return layer.nearness <= 1 || shot.kind == ShotKind::wide || shot.kind == ShotKind::pan;
}

bool moves(const Layer& layer, const StoryShot& shot) { return shot.kind == ShotKind::pan || layer.drift != 0; }

double enlargement(const Layer& layer, const StoryShot& shot) {
  return 1 + (view_of(shot.kind).zoom - 1) * (0.3f + 0.7f * layer.nearness);
}

// The positions of a frame's columns in the layer's panorama.
Positions columns_of(const Stage& stage, const Layer& layer, const StoryShot& shot, int64_t frame) {
  float centre = view_of(shot.kind).centre;
  if (shot.kind == ShotKind::pan) {
    const float direction = !shot.sides.empty() && shot.sides[0] == Side::right ? -1.0f : 1.0f;
    centre += direction * (pan_travel(shot, frame) - 0.5f);
  }
  // Clouds drift back and forth, so that a long story does not run out of sky.
  const float drift = 0.25f * std::sin(layer.drift / 0.25f * static_cast<float>(shot.first_frame + frame));
  const double zoom = enlargement(layer, shot), width = static_cast<double>(stage.story.config.width);
  const double middle = (centre * layer.nearness - drift) * static_cast<double>(stage.story.config.height);
  return {.start = (0.5 - 0.5 * width) / zoom + middle + 0.5 * static_cast<double>(stage.panorama_width) - 0.5,
          .step = 1 / zoom};
}

Positions rows_of(const Stage& stage, const Layer& layer, const StoryShot& shot) {
  const double zoom = enlargement(layer, shot), height = static_cast<double>(stage.story.config.height);
  return {.start = (0.5 - view_of(shot.kind).horizon * height) / zoom + kHorizon * height - 0.5, .step = 1 / zoom};
}

// In pixels.
float blur_of(const Stage& stage, const StoryShot& shot) {
  return view_of(shot.kind).blur * static_cast<float>(stage.story.config.height);
}

// Columns [first, last) of a panorama.
struct Reach {
  int64_t first, last;
};

Reach reach_of(const Stage& stage, const Layer& layer, const Take& take) {
  double first = static_cast<double>(stage.panorama_width), last = 0;
  for (int64_t frame = take.begin; frame < (moves(layer, take.shot) ? take.end : take.begin + 1); ++frame) {
    const Positions columns = columns_of(stage, layer, take.shot, frame);
    first = std::min(first, columns.start);
    last = std::max(last, columns.start + columns.step * static_cast<double>(stage.story.config.width - 1));
  }
  return {static_cast<int64_t>(std::floor(first)), static_cast<int64_t>(std::floor(last)) + 2};
}

// One layer, or several composed layers that do not move in a take.
struct Backdrop {
  const Layer* layer;  // null for several composed layers, whose columns are those of the picture
  std::shared_ptr<const Sheet> sheet;
  int64_t first = 0;  // the panorama column of the sheet's first column

  Positions columns(const Stage& stage, const StoryShot& shot, int64_t frame) const {
    if (!layer) return {};
    const Positions whole = columns_of(stage, *layer, shot, frame);
    return {.start = whole.start - static_cast<double>(first), .step = whole.step};
  }
};

// The layer as a panorama, as wide as the takes need it.
Backdrop paint_panorama(const Stage& stage, const Layer& layer, const std::vector<Take>& takes) {
  Reach reach{stage.panorama_width, 0};
  for (const Take& take : takes) {
    if (!is_seen(layer, take.shot)) continue;
    const int64_t margin = blur_reach(blur_of(stage, take.shot));
    const Reach seen = reach_of(stage, layer, take);
    reach = {std::min(reach.first, seen.first - margin), std::max(reach.last, seen.last + margin)};
  }
  if (reach.first >= reach.last) return {};
  Picture picture(4, stage.story.config.height, reach.last - reach.first);
  paint({.picture = picture, .left = -stage.half_panorama, .first_column = reach.first}, layer.shapes);
  return {.layer = &layer, .sheet = std::make_shared<Sheet>(std::move(picture)), .first = reach.first};
}

// The panorama as the camera of a take sees it, with the rows of the picture.
Backdrop look_at(const Stage& stage, const Backdrop& panorama, const Take& take) {
  const Positions rows = rows_of(stage, *panorama.layer, take.shot);
  if (rows.step == 1) return panorama;
  const Reach reach = reach_of(stage, *panorama.layer, take);
  Picture seen = sampled_rows(panorama.sheet->picture, rows, reach.first - panorama.first, reach.last - panorama.first,
                              blur_of(stage, take.shot));
  return {.layer = panorama.layer, .sheet = std::make_shared<Sheet>(std::move(seen)), .first = reach.first};
}

// Everything behind the persons, from back to front.
std::vector<Backdrop> look_around(const Stage& stage, const std::vector<Backdrop>& panoramas, const Take& take) {
  std::vector<Backdrop> result;
  Picture still;  // composed layers since the last moving one
  const auto end_still = [&] {
    if (still.channels > 0) result.push_back({.layer = nullptr, .sheet = std::make_shared<Sheet>(std::move(still))});
    still = {};
  };
  for (const Backdrop& panorama : panoramas) {
    if (!panorama.layer || !is_seen(*panorama.layer, take.shot)) continue;
    const Backdrop seen = look_at(stage, panorama, take);
    if (moves(*panorama.layer, take.shot)) {
      end_still();
      result.push_back(seen);
    } else {
      if (still.channels == 0) still = Picture(4, stage.story.config.height, stage.story.config.width);
      put_over(still, *seen.sheet, seen.columns(stage, take.shot, take.begin));
    }
  }
  end_still();
  return result;
}

std::vector<Shape> persons_of(const Stage& stage, const StoryShot& shot, int64_t frame) {
  std::vector<Shape> shapes;
  for (size_t slot = 0; slot < shot.persons.size(); ++slot)
    append_person(shapes, stage.story.persons[static_cast<size_t>(shot.persons[slot])], shot.persons[slot],
                  pose_of(shot, slot, frame, stage.half_width), stage.scene.tint);
  return shapes;
}

// Draws a take. Its first frame is frame 0 of `frames` [T, 3, Y, X] and of `parts` [persons, T, Y, X] (if defined).
void draw_take(const Stage& stage, const std::vector<Backdrop>& panoramas, const Take& take, const at::Tensor& frames,
               const at::Tensor& parts) {
  const std::vector<Backdrop> behind = look_around(stage, panoramas, take);
  const StoryConfig& config = stage.story.config;
  at::parallel_for(take.begin, take.end, kFramesAThread, [&](int64_t begin, int64_t end) {
    Picture picture(3, config.height, config.width);
    for (int64_t frame = begin; frame < end; ++frame) {
      for (const Backdrop& backdrop : behind)
        put_over(picture, *backdrop.sheet, backdrop.columns(stage, take.shot, frame));
      const int64_t t = frame - take.begin;
      paint({.picture = picture,
             .left = -stage.half_width,
             .parts = parts.defined() ? parts.data_ptr<uint8_t>() + t * parts.stride(1) : nullptr,
             .persons = parts.defined() ? parts.size(0) : 0,
             .person_stride = parts.defined() ? parts.stride(0) : 0},
            persons_of(stage, take.shot, frame));
      to_bytes(picture, frames.data_ptr<uint8_t>() + t * frames.stride(0));
    }
  });
}

}  // namespace

RenderedStory render_story(const Story& story, c10::Device device, bool with_parts, int64_t begin, int64_t end) {
  const StoryConfig& config = story.config;
  if (end < 0) end = config.frames;
  check(0 <= begin && begin < end && end <= config.frames, "story frames [", begin, ", ", end,
        "), expected at least one frame within [0, ", config.frames, ")");
  const Stage stage = set_stage(story);
  std::vector<Take> takes;
  for (const StoryShot& shot : story.shots) {
    const Take take{shot, std::max<int64_t>(begin - shot.first_frame, 0),
                    std::min(end - shot.first_frame, shot.frames)};
    if (take.begin < take.end) takes.push_back(take);
  }
  std::vector<Backdrop> panoramas;
  for (const Layer& layer : stage.scene.layers) panoramas.push_back(paint_panorama(stage, layer, takes));
  const auto persons = static_cast<int64_t>(story.persons.size());
  const at::Tensor frames = at::empty({end - begin, 3, config.height, config.width}, at::kByte);
  const at::Tensor parts =
      with_parts ? at::zeros({persons, end - begin, config.height, config.width}, at::kByte) : at::Tensor();
  for (const Take& take : takes) {
    const int64_t first = take.shot.first_frame + take.begin - begin;
    draw_take(stage, panoramas, take, frames.slice(0, first), with_parts ? parts.slice(1, first) : parts);
  }
  return {.frames = frames.to(device), .parts = with_parts ? parts.to(device) : parts};
}

}  // namespace moga
