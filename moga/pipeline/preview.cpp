// See preview.h.
#include "moga/pipeline/preview.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/log.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"

namespace moga {
namespace {

constexpr int64_t kWidest = 480, kLargestScale = 8;  // of a preview's picture

// Even, because H.264 needs even sides.
int64_t scale_for(int64_t columns) {
  int64_t scale = kLargestScale;
  while (scale > 2 && scale * columns > kWidest) scale -= 2;
  return scale;
}

void write_files(const PreviewFiles& files, const at::Tensor& frames, const std::vector<int64_t>& shot_frames,
                 double fps) {
  ContactSheet sheet(shot_frames);
  sheet.add(frames);
  save_png(files.sheet, sheet.image());
  const auto film = make_video_writer(files.film, frames.size(3), frames.size(2), fps);
  film->write(frames);
  film->finish();
}

}  // namespace

PreviewFiles preview_files(const std::filesystem::path& video) {
  const auto with = [&](const std::string& ending) {
    std::filesystem::path path = video;
    return path.replace_extension(".preview" + ending);
  };
  return {.sheet = with(".png"), .film = with(video.extension().string())};
}

Preview::Preview(PreviewOptions options, std::vector<int64_t> latent_shot_frames, double latent_fps)
    : options_(std::move(options)), shot_frames_(std::move(latent_shot_frames)), fps_(latent_fps) {}

Preview::~Preview() {
  if (writing_.valid()) writing_.wait();
}

void Preview::settle() {
  if (!writing_.valid()) return;
  try {
    writing_.get();
  } catch (const std::exception& error) {
    failed_ = true;
    log_info("previews cannot be written, the run goes on without them: ", error.what());
  }
}

void Preview::show(int64_t steps, const at::Tensor& estimate) {
  settle();
  if (failed_) return;
  const at::Tensor frames = options_.decoder.decode(estimate, scale_for(estimate.size(3))).cpu();
  writing_ = std::async(std::launch::async, [files = options_.files, frames, shots = shot_frames_, fps = fps_] {
    write_files(files, frames, shots, fps);
  });
  log_info("step ", steps, ": preview in ", options_.files.sheet.string());
}

void Preview::finish() { settle(); }

}  // namespace moga
