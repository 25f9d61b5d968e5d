// Drawing a story: signed-distance shapes with shading and antialiasing, on the CPU's threads (at::get_num_threads).
// The shapes are too many and too small for a GPU: as tensor operations a story of 129 frames at 224×128 took an H100
// 120 ms; a core takes 16. The same story is the same to the bit, whole and in pieces.
#pragma once

#include <ATen/core/Tensor.h>

#include "moga/data/story/story.h"

namespace moga {

// The parts whose exact masks come with every frame. Face: skin of head and neck; arms: sleeves and hands; trousers:
// with belt and shoes.
enum class Part : int64_t { hat, hair, face, shirt, trousers, arms, count };

struct RenderedStory {
  at::Tensor frames;  // uint8 [T, 3, Y, X]
  at::Tensor parts;  // uint8 [persons, T, Y, X]: 1 + Part of the visible part of this person at this pixel, 0 elsewhere
};

// Frames [begin, end) of the story, on `device`; end = -1: to the end.
RenderedStory render_story(const Story& story, c10::Device device, bool with_parts = false, int64_t begin = 0,
                           int64_t end = -1);

}  // namespace moga
