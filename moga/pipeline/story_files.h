// Stories as files: what the procedural world draws, to compare with what a model makes of the same captions.
#pragma once

#include <filesystem>

#include "moga/data/script.h"
#include "moga/data/story/story.h"

namespace moga {

constexpr int64_t kStoryFps = 16;

// The story as a shot script with its captions and lengths, for `moga generate`.
Script story_script(const Story& story);

struct StoryFiles {
  std::filesystem::path video, sheet, script;
};

// Renders the story to <folder>/story-<seed>.mp4, .png (contact sheet) and .toml (script).
StoryFiles write_story(const Story& story, const std::filesystem::path& folder);

}  // namespace moga
