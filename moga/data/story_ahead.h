// Stories drawn ahead of their use: while a GPU works on one story, threads of the CPU draw the next ones, a thread a
// story. For a CPU device nothing runs ahead: the story is drawn when it is asked for.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <future>
#include <map>

#include "moga/data/story.h"

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

  // Meant to be called with ascending indices.
  DrawnStory get(int64_t index);

 private:
  std::function<Story(int64_t)> plan_;
  c10::Device device_;
  bool with_parts_;
  int64_t ahead_;
  std::map<int64_t, std::future<DrawnStory>> drawing_;
};

}  // namespace moga
