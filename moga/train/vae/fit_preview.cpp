// See fit_preview.h.
#include "moga/train/vae/fit_preview.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/core/random.h"
#include "moga/data/story/render.h"
#include "moga/data/video/film.h"
#include "moga/data/video/video.h"

namespace moga {
namespace {

constexpr uint64_t kSeed = 1;

int64_t rounded(double pixels, int64_t multiple) {
  return std::max<int64_t>(1, std::llround(pixels / static_cast<double>(multiple))) * multiple;
}

// The last pixel frames of a video that a codec takes.
int64_t whole_frames(int64_t frames, const Strides& strides) {
  return 1 + (frames - 1) / strides.frames * strides.frames;
}

at::Tensor drawn_clip(int64_t number, const PreviewFitOptions& options, const Strides& strides) {
  constexpr double kProportions = 4.0 / 7;
  const StoryConfig story = {
      .width = rounded(static_cast<double>(options.width), strides.columns),
      .height = rounded(kProportions * static_cast<double>(options.width), strides.rows),
  };
  const Story planned = plan_story(random_key(kSeed, "preview stories", static_cast<uint64_t>(number)), story);
  const int64_t frames = whole_frames(options.frames, strides);
  // Another part of each story, so that all kinds of shots occur.
  const int64_t first = number * strides.frames % (story.frames - frames);
  return render_story(planned, at::kCPU, false, first, first + frames).frames;
}

at::Tensor film_clip(const std::filesystem::path& file, const PreviewFitOptions& options, const Strides& strides) {
  const FilmInfo info = film_info(file);
  check(!info.hdr, file.string(), ": is in HDR, expected a film in SDR");
  const double scale = static_cast<double>(options.width) / static_cast<double>(info.width);
  const auto reader = open_film(file, {.width = rounded(static_cast<double>(options.width), strides.columns),
                                       .height = rounded(scale * static_cast<double>(info.height), strides.rows),
                                       .deinterlace = info.interlaced});
  const double fps = info.fps > 0 ? info.fps : 24;
  const double seconds = static_cast<double>(options.frames) / fps;
  const double start = std::max(0.0, (info.seconds - seconds) / 2);
  const auto there = static_cast<int64_t>(std::floor((info.seconds > 0 ? info.seconds - start : seconds) * fps));
  const int64_t frames = whole_frames(std::clamp<int64_t>(there, 1, options.frames), strides);
  return sampled(*reader, start, frames, fps);
}

}  // namespace

PreviewDecoder fit_preview(Codec& codec, const PreviewFitOptions& options) {
  const at::NoGradGuard no_grad;
  const Strides strides = codec.config().strides();
  const auto clips = options.films.empty() ? options.clips : static_cast<int64_t>(options.films.size());
  check(clips > 0, "a preview decoder is fitted to ", clips, " clips, expected at least 1");
  PreviewFit fit(codec.config().latent_channels());
  Progress progress("fit preview", clips, "clip");
  for (int64_t i = 0; i < clips; ++i) {
    stop_if_interrupted();
    const at::Tensor frames = options.films.empty()
                                  ? drawn_clip(i, options, strides)
                                  : film_clip(options.films[static_cast<size_t>(i)], options, strides);
    const at::Tensor video = to_float(frames);  // [3, T, Y, X]
    fit.add(codec.encode(video.unsqueeze(0))[0], video);
    progress.advance();
  }
  return fit.solve();
}

}  // namespace moga
