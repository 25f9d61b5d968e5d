// Stories drawn ahead of their use: while a GPU works on one story, threads of the CPU draw the next ones, a thread a
// story. The threads last, for a new one draws its first story into memory that it has to ask for: 1.7 times as slow at
// 33 frames. For a CPU device nothing runs ahead: the story is drawn when it is asked for.
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
  // `plan` gives the story of an index, for any index; it is called by several threads.
  StoryAhead(std::function<Story(int64_t index)> plan, c10::Device device, bool with_parts);

  // Meant to be called with ascending indices. On a GPU the frames are still on their way there when it returns.
  DrawnStory get(int64_t index);
  double seconds_waited() const { return seconds_waited_; }  // in get, for stories that were not drawn yet

 private:
  void start(int64_t index);
  void work(const std::stop_token& stop);

  std::function<Story(int64_t)> plan_;
  c10::Device device_;
  bool with_parts_;
  int64_t ahead_;
  double seconds_waited_ = 0;
  std::map<int64_t, std::future<DrawnStory>> drawing_;
  std::mutex mutex_;  // of tasks_
  std::condition_variable_any asked_;
  std::deque<std::packaged_task<DrawnStory()>> tasks_;
  std::vector<std::jthread> threads_;  // last, so that they end before what they use
};

}  // namespace moga
