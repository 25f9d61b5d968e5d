// A story's files: a video of all its frames, and a script with the same shots.
#include "moga/pipeline/story_files.h"

#include <gtest/gtest.h>

#include "moga/data/video/video.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

TEST(StoryFiles, TheScriptTellsTheSameStory) {
  const Story story = plan_story(5, {});
  const Script script = story_script(story);
  script.validate();
  EXPECT_EQ(script.captions(), story.captions());
  EXPECT_EQ(script.latent_shot_frames(kWanPixelsPerToken), story.latent_shot_frames());
}

TEST(StoryFiles, AreWrittenWhole) {
  test::Folder folder;
  StoryConfig config;
  config.width = 112;
  config.height = 64;
  config.frames = 65;
  const Story story = plan_story(5, config);
  const StoryFiles files = write_story(story, folder.path());
  EXPECT_EQ(open_video(files.video)->read(100).size(0), 65);
  EXPECT_EQ(load_script(files.script).captions(), story.captions());
  EXPECT_TRUE(std::filesystem::exists(files.sheet));
}

}  // namespace
}  // namespace moga
