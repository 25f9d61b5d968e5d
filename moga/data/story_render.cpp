// From story to frames: the layers of the place are drawn once as panoramas; a shot samples them through its camera
// (parallax, enlargement, blur), puts one over the other and paints the persons on top.
#include "moga/data/story_render.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "moga/core/check.h"
#include "moga/data/story_actor.h"
#include "moga/data/story_scene.h"
#include "moga/data/story_shapes.h"

namespace moga {
namespace {

using at::Tensor;

constexpr float kPanoramaMargin = 1.3f;  // frame heights beyond the picture on either side
// Frames painted at once: enough to fill a GPU, few enough to stay in a CPU's cache.
constexpr int64_t kFramesAtOnceCpu = 16, kFramesAtOnceGpu = 128;

// A layer as a picture, drawn once a story.
struct Panorama {
  float nearness, drift;
  Tensor picture;  // [1, 4, Y, W], colour times coverage, coverage
};

struct Stage {
  const Story& story;
  c10::Device device;
  float half_width;  // of the picture, in frame heights
  float half_panorama;
  Tint tint;
  std::vector<Panorama> layers;
};

// How a kind of shot sees the place: sideways shift, enlargement, height of the horizon in the picture, blur in frame
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

Stage set_stage(const Story& story, c10::Device device) {
  const auto height = static_cast<float>(story.config.height);
  const float half_width = 0.5f * static_cast<float>(story.config.width) / height;
  const auto margin = static_cast<int64_t>(std::lround(kPanoramaMargin * height));
  const int64_t width = story.config.width + 2 * margin;
  Stage stage{.story = story,
              .device = device,
              .half_width = half_width,
              .half_panorama = 0.5f * static_cast<float>(width) / height,
              .tint = {},
              .layers = {}};
  const Scene scene = make_scene(story.place, story.light, story.seed, stage.half_panorama);
  stage.tint = scene.tint;
  for (const Layer& layer : scene.layers) {
    const Tensor picture = at::zeros({1, 4, story.config.height, width}, at::dtype(at::kFloat).device(device));
    paint({.picture = picture, .parts = {}, .left = -stage.half_panorama}, {layer.shapes});
    stage.layers.push_back({.nearness = layer.nearness, .drift = layer.drift, .picture = picture});
  }
  return stage;
}

// Gaussian blur, both ways in one kernel each.
Tensor blurred(const Tensor& picture, float sigma) {
  const auto radius = static_cast<int64_t>(std::ceil(2.5f * sigma));
  if (radius < 1) return picture;
  Tensor weight = at::exp(at::arange(-radius, radius + 1, picture.options()).square() / (-2 * sigma * sigma));
  weight = weight / weight.sum();
  const int64_t channels = picture.size(1);
  const auto pass = [&](const Tensor& input, at::IntArrayRef shape, at::IntArrayRef padding) {
    const Tensor wide = at::replication_pad2d(input, padding);
    const Tensor weights = weight.view(shape).expand({channels, 1, shape[2], shape[3]});
    return at::conv2d(wide, weights, Tensor(), {1, 1}, at::IntArrayRef{0, 0}, {1, 1}, channels);
  };
  const int64_t size = 2 * radius + 1;
  return pass(pass(picture, {1, 1, 1, size}, {radius, radius, 0, 0}), {1, 1, size, 1}, {0, 0, radius, radius});
}

// The layer as the camera sees it in frames [begin, begin + count) of the shot: [count or 1, 4, Y, X].
Tensor look_at(const Stage& stage, const Panorama& layer, const StoryShot& shot, int64_t begin, int64_t count) {
  const View view = view_of(shot.kind);
  const StoryConfig& config = stage.story.config;
  const bool moves = shot.kind == ShotKind::pan || layer.drift != 0;
  const float zoom = 1 + (view.zoom - 1) * (0.3f + 0.7f * layer.nearness);
  const float direction = !shot.sides.empty() && shot.sides[0] == Side::right ? -1.0f : 1.0f;
  const int64_t frames = moves ? count : 1;
  const Tensor centres = at::zeros({frames, 1, 1}, at::kFloat);
  for (int64_t t = 0; t < frames; ++t) {
    float centre = view.centre;
    if (shot.kind == ShotKind::pan) centre += direction * (pan_travel(shot, begin + t) - 0.5f);
    // Back and forth, so that a long story does not run out of sky.
    const float drift = 0.25f * std::sin(layer.drift / 0.25f * static_cast<float>(shot.first_frame + begin + t));
    centres.data_ptr<float>()[t] = centre * layer.nearness - drift;
  }
  const auto options = layer.picture.options();
  const Tensor u = (at::arange(config.width, options) + 0.5) / static_cast<double>(config.height) - stage.half_width;
  const Tensor v = (at::arange(config.height, options) + 0.5) / static_cast<double>(config.height);
  const Tensor x = (u / zoom).view({1, 1, -1}) + centres.to(stage.device);
  const Tensor y = (v - view.horizon) / zoom + kHorizon;
  const int64_t rows = config.height, columns = config.width;
  const Tensor grid = at::stack({(x / stage.half_panorama).expand({frames, rows, columns}),
                                 (y * 2 - 1).view({1, -1, 1}).expand({frames, rows, columns})},
                                -1);
  const Tensor picture = blurred(layer.picture, view.blur * static_cast<float>(rows));
  return at::grid_sampler(picture.expand({frames, -1, -1, -1}), grid, 0, 1, false);
}

// The place without persons: [count, 3, Y, X].
Tensor paint_place(const Stage& stage, const StoryShot& shot, int64_t begin, int64_t count) {
  Tensor picture;
  for (const Panorama& layer : stage.layers) {
    if (layer.nearness > 1 && shot.kind != ShotKind::wide && shot.kind != ShotKind::pan) continue;
    const Tensor seen = look_at(stage, layer, shot, begin, count);
    const Tensor colour = seen.slice(1, 0, 3), through = 1 - seen.slice(1, 3, 4);
    picture = picture.defined() ? at::addcmul(colour, picture, through) : colour;
  }
  return picture.expand({count, -1, -1, -1}).contiguous();
}

// Frames [begin, begin + count) of the shot into `video` [T, 3, Y, X] and, if defined, `parts` [persons, T, Y, X].
void paint_shot(const Stage& stage, const StoryShot& shot, int64_t begin, int64_t count, const Tensor& video,
                const Tensor& parts) {
  const Tensor picture = paint_place(stage, shot, begin, count);
  std::vector<std::vector<Shape>> frames(static_cast<size_t>(count));
  for (int64_t t = 0; t < count; ++t)
    for (size_t slot = 0; slot < shot.persons.size(); ++slot)
      append_person(frames[static_cast<size_t>(t)], stage.story.persons[static_cast<size_t>(shot.persons[slot])],
                    shot.persons[slot], pose_of(shot, slot, begin + t, stage.half_width), stage.tint);
  paint({.picture = picture, .parts = parts, .left = -stage.half_width}, frames);
  video.copy_(picture);
}

}  // namespace

RenderedStory render_story(const Story& story, c10::Device device, bool with_parts, int64_t begin, int64_t end) {
  const StoryConfig& config = story.config;
  if (end < 0) end = config.frames;
  check(0 <= begin && begin < end && end <= config.frames, "story frames [", begin, ", ", end,
        "), expected within [0, ", config.frames, ")");
  const at::NoGradGuard no_grad;
  const Stage stage = set_stage(story, device);
  const auto options = at::TensorOptions().device(device);
  const int64_t persons = static_cast<int64_t>(story.persons.size()), times = end - begin;
  const Tensor video = at::empty({3, times, config.height, config.width}, options.dtype(at::kFloat));
  const Tensor by_frame = video.transpose(0, 1);
  const Tensor parts =
      with_parts ? at::zeros({persons, times, config.height, config.width}, options.dtype(at::kByte)) : Tensor();
  const int64_t at_once = device.is_cpu() ? kFramesAtOnceCpu : kFramesAtOnceGpu;
  for (const StoryShot& shot : story.shots) {
    const int64_t last = std::min(end, shot.first_frame + shot.frames);
    for (int64_t t = std::max(begin, shot.first_frame); t < last; t += at_once) {
      const int64_t count = std::min(at_once, last - t);
      paint_shot(stage, shot, t - shot.first_frame, count, by_frame.narrow(0, t - begin, count),
                 with_parts ? parts.narrow(1, t - begin, count) : Tensor());
    }
  }
  video.mul_(2).sub_(1);
  return {.video = video, .parts = parts};
}

}  // namespace moga
