// Stories drawn ahead of their use: while a GPU works on one story, CPU threads draw the next ones, one thread per
// story. The threads are kept, because a new thread first has to obtain memory and draws its first story 1.7 times
// slower (33 frames). With a CPU device nothing runs ahead: a story is drawn when it is requested.
#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "moga/data/story/story.h"

namespace moga {

struct DrawnStory {
  Story story;
  at::Tensor frames;  // uint8 [T, 3, Y, X] on the device
  at::Tensor parts;   // uint8 [persons, T, Y, X] as in RenderedStory; undefined unless asked for
};

class StoryAhead {
 public:
  // `plan` returns the story of any index; several threads call it.
  StoryAhead(std::function<Story(int64_t index)> plan, c10::Device device, bool with_parts);

  // Call it with ascending indices. On a GPU the copy of the frames may still be in progress when it returns.
  DrawnStory get(int64_t index);
  double seconds_waited() const { return seconds_waited_; }  // in get(), for stories that were not drawn yet

 private:
  void start(int64_t index);
  void work(const std::stop_token& stop);

  std::function<Story(int64_t)> plan_;
  c10::Device device_;
  bool with_parts_;
  int64_t ahead_;
  double seconds_waited_ = 0;
  std::map<int64_t, std::future<DrawnStory>> drawing_;
  std::mutex mutex_;  // guards tasks_
  std::condition_variable_any asked_;
  std::deque<std::packaged_task<DrawnStory()>> tasks_;
  std::vector<std::jthread> threads_;  // last member, so that threads end before what they use is destroyed
};

}  // namespace moga
