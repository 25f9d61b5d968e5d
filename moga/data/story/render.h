// Draws a story with signed-distance shapes, shading and antialiasing, on at::get_num_threads() CPU threads. The shapes
// are too many and too small for a GPU: as tensor operations, a story of 129 frames at 224×128 took an H100 120 ms; one
// CPU core takes 16 ms. Drawing is bit-identical, whole or in pieces.
#pragma once

#include <ATen/core/Tensor.h>

#include "moga/data/story/story.h"

namespace moga {

// The parts that have an exact mask in every frame. Face: skin of head and neck. Arms: sleeves and hands. Trousers:
// including belt and shoes.
enum class Part : int64_t { hat, hair, face, shirt, trousers, arms, count };

struct RenderedStory {
  at::Tensor frames;  // uint8 [T, 3, Y, X]
  at::Tensor parts;   // uint8 [persons, T, Y, X]: 1 + Part where a part of this person is visible, 0 elsewhere
};

// Frames [begin, end) of the story, on `device`. end = -1 means up to the last frame.
RenderedStory render_story(const Story& story, c10::Device device, bool with_parts = false, int64_t begin = 0,
                           int64_t end = -1);

}  // namespace moga
