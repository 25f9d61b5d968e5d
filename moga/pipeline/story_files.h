// Stories as files: what the procedural world draws, to compare with what a model makes of the same captions.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <vector>

#include "moga/data/script.h"
#include "moga/data/story/story.h"

namespace moga {

constexpr int64_t kStoryFps = 16;

// The story as a shot script with its captions and lengths, for `moga generate`.
Script story_script(const Story& story);

// uint8 [3, Y, X]: the image of a shot that an image-to-video model is given.
at::Tensor first_frame(const Story& story, const StoryShot& shot);

struct StoryFiles {
  std::filesystem::path video, sheet, script;
  std::vector<std::filesystem::path> images;  // the first frame of each shot
};

// Renders the story to <folder>/story-<seed>.mp4 (.y4m without FFmpeg or libx264), .png (contact sheet) and .toml
// (script). With `images` also writes the first frame of each shot, story-<seed>-shot-1.png, …, which the script gives
// as the shot's image, for image-to-video models.
StoryFiles write_story(const Story& story, const std::filesystem::path& folder, bool images = false);

}  // namespace moga
