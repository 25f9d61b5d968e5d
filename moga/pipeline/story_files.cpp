// See story_files.h. A story is rendered a few frames at a time, so that memory does not grow with its length.
#include "moga/pipeline/story_files.h"

#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/data/story/render.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/pipeline/generate.h"

namespace moga {
namespace {

constexpr int64_t kPieceFrames = 16;

}  // namespace

Script story_script(const Story& story) {
  Script script;
  script.title = "Story " + std::to_string(story.seed);
  script.size = {story.config.width, story.config.height};
  script.fps = kStoryFps;
  script.seed = static_cast<int64_t>(story.seed);
  const auto frames = kWanPixelsPerToken.pixel_shot_frames(story.latent_shot_frames());
  for (size_t i = 0; i < frames.size(); ++i) {
    Shot shot;
    shot.caption = story.shots[i].caption;
    shot.frames = frames[i];
    script.shot.push_back(shot);
  }
  return script;
}

StoryFiles write_story(const Story& story, const std::filesystem::path& folder) {
  const std::string stem = "story-" + std::to_string(story.seed);
  const StoryFiles files{folder / (stem + ".mp4"), folder / (stem + ".png"), folder / (stem + ".toml")};
  const StoryConfig& config = story.config;
  const auto writer = make_video_writer(files.video, config.width, config.height, kStoryFps);
  ContactSheet sheet(kWanPixelsPerToken.pixel_shot_frames(story.latent_shot_frames()));
  for (int64_t begin = 0; begin < config.frames; begin += kPieceFrames) {
    stop_if_interrupted();
    const int64_t end = std::min(config.frames, begin + kPieceFrames);
    const at::Tensor frames = render_story(story, at::kCPU, false, begin, end).frames;
    writer->write(frames);
    sheet.add(frames);
  }
  const FolderLock lock(folder);  // so that the three files are of one run
  writer->finish();
  save_png(files.sheet, sheet.image());
  write_text(files.script, to_toml(story_script(story)));
  return files;
}

}  // namespace moga
