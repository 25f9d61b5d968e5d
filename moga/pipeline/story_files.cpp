// See story_files.h. A story is rendered a few frames at a time, so that memory does not grow with its length.
#include "moga/pipeline/story_files.h"

#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/data/story/render.h"
#include "moga/data/video/codecs.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/pipeline/generate.h"

namespace moga {
namespace {

constexpr int64_t kPieceFrames = 16;

// MP4 where it can be written.
const char* video_extension() { return video_codecs().writes_h264 ? ".mp4" : ".y4m"; }

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

at::Tensor first_frame(const Story& story, const StoryShot& shot) {
  return render_story(story, at::kCPU, /*with_parts=*/false, shot.first_frame, shot.first_frame + 1).frames[0];
}

StoryFiles write_story(const Story& story, const std::filesystem::path& folder, bool images) {
  const std::string stem = "story-" + std::to_string(story.seed);
  StoryFiles files{folder / (stem + video_extension()), folder / (stem + ".png"), folder / (stem + ".toml"), {}};
  Script script = story_script(story);
  for (size_t shot = 0; images && shot < script.shot.size(); ++shot) {
    files.images.push_back(folder / (stem + "-shot-" + std::to_string(shot + 1) + ".png"));
    script.shot[shot].image = files.images.back().filename().string();
  }
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
  const FolderLock lock(folder);  // so that the files are of one run
  writer->finish();
  save_png(files.sheet, sheet.image());
  for (size_t shot = 0; shot < files.images.size(); ++shot)
    save_png(files.images[shot], first_frame(story, story.shots[shot]));
  write_text(files.script, to_toml(script));
  return files;
}

}  // namespace moga
