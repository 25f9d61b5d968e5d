// Drawing a story: signed-distance shapes with shading and antialiasing, by ATen operations on any device. The same
// story drawn twice on one device is the same to the bit.
#pragma once

#include <ATen/core/Tensor.h>

#include "moga/data/story.h"

namespace moga {

// The parts whose exact masks come with every frame. Face: skin of head and neck; arms: sleeves and hands; trousers:
// with belt and shoes.
enum class Part : int64_t { hat, hair, face, shirt, trousers, arms, count };

struct RenderedStory {
  at::Tensor video;  // float32 [3, T, Y, X] in [-1, 1]
  at::Tensor parts;  // uint8 [persons, T, Y, X]: 1 + Part of the visible part of this person at this pixel, 0 elsewhere
};

// Frames [begin, end) of the story; end = -1: to the end.
RenderedStory render_story(const Story& story, c10::Device device, bool with_parts = false, int64_t begin = 0,
                           int64_t end = -1);

}  // namespace moga
