// Stories drawn ahead of their use. See story_ahead.h.
#include "moga/data/story_ahead.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <thread>

#include "moga/data/story_render.h"

namespace moga {
namespace {

constexpr int64_t kMostAhead = 24;  // stories in flight: 11 MB each at 224×128, 129 frames

DrawnStory draw(const std::function<Story(int64_t)>& plan, int64_t index, bool with_parts) {
  Story story = plan(index);
  const RenderedStory rendered = render_story(story, at::kCPU, with_parts);
  return {.story = std::move(story), .frames = rendered.frames, .parts = rendered.parts};
}

}  // namespace

StoryAhead::StoryAhead(std::function<Story(int64_t)> plan, c10::Device device, bool with_parts)
    : plan_(std::move(plan)),
      device_(device),
      with_parts_(with_parts),
      ahead_(device.is_cpu() ? 0 : std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, kMostAhead)) {}

DrawnStory StoryAhead::get(int64_t index) {
  if (ahead_ == 0) return draw(plan_, index, with_parts_);
  drawing_.erase(drawing_.begin(), drawing_.lower_bound(index));
  for (int64_t next = index; next < index + ahead_; ++next) {
    if (drawing_.count(next)) continue;
    drawing_[next] = std::async(std::launch::async, [plan = plan_, next, with_parts = with_parts_] {
      at::set_num_threads(1);  // the other cores have stories of their own
      return draw(plan, next, with_parts);
    });
  }
  DrawnStory drawn = drawing_.at(index).get();
  drawing_.erase(index);
  drawn.frames = drawn.frames.to(device_);
  if (drawn.parts.defined()) drawn.parts = drawn.parts.to(device_);
  return drawn;
}

}  // namespace moga
