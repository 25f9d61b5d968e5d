// Stories drawn ahead of their use. See ahead.h.
#include "moga/data/story/ahead.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>

#include "moga/data/story/render.h"

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
  const auto begin = std::chrono::steady_clock::now();
  const auto note_wait = [&] {
    seconds_waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  if (ahead_ == 0) {
    DrawnStory drawn = draw(plan_, index, with_parts_);
    note_wait();
    return drawn;
  }
  drawing_.erase(drawing_.begin(), drawing_.lower_bound(index));
  for (int64_t next = index; next < index + ahead_; ++next)
    if (!drawing_.count(next)) start(next);
  DrawnStory drawn = drawing_.extract(index).mapped().get();
  note_wait();
  // From pinned memory; a copy from pageable memory would first wait for the device's pending work.
  drawn.frames = drawn.frames.to(device_, /*non_blocking=*/true);
  if (drawn.parts.defined()) drawn.parts = drawn.parts.to(device_, /*non_blocking=*/true);
  return drawn;
}

void StoryAhead::start(int64_t index) {
  std::packaged_task<DrawnStory()> task([this, index] {
    DrawnStory drawn = draw(plan_, index, with_parts_);
    drawn.frames = drawn.frames.pin_memory();
    if (drawn.parts.defined()) drawn.parts = drawn.parts.pin_memory();
    return drawn;
  });
  drawing_[index] = task.get_future();
  {
    const std::scoped_lock lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  asked_.notify_one();
  if (static_cast<int64_t>(threads_.size()) < ahead_)
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
}

void StoryAhead::work(const std::stop_token& stop) {
  at::set_num_threads(1);  // the other cores draw their own stories
  while (true) {
    std::packaged_task<DrawnStory()> task;
    {
      std::unique_lock lock(mutex_);
      const bool is_asked = asked_.wait(lock, stop, [this] { return !tasks_.empty(); });
      if (!is_asked || stop.stop_requested()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace moga
