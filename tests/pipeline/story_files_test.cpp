// A story's files: a video of all its frames, and a script with the same shots.
#include "moga/pipeline/story_files.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/data/story/render.h"
#include "moga/data/video/image.h"
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

TEST(StoryFiles, TheScriptNamesTheFirstFrameOfEachShot) {
  const test::Folder folder;
  const Story story = plan_story(5, {.width = 112, .height = 64, .frames = 65});
  const StoryFiles files = write_story(story, folder.path(), /*images=*/true);
  ASSERT_EQ(files.images.size(), story.shots.size());
  const Script script = load_script(files.script);
  const at::Tensor frames = render_story(story, at::kCPU).frames;
  for (size_t shot = 0; shot < files.images.size(); ++shot) {
    EXPECT_EQ(std::filesystem::path(script.shot[shot].image.value()).filename(), files.images[shot].filename());
    EXPECT_TRUE(at::equal(load_png(files.images[shot]), frames[story.shots[shot].first_frame]));
  }
  EXPECT_TRUE(write_story(story, folder / "plain").images.empty());
}

}  // namespace
}  // namespace moga
