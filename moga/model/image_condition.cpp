// See image_condition.h.
#include "moga/model/image_condition.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"

namespace moga {
namespace {

// Pixel frames of a latent frame.
struct PixelRun {
  int64_t begin, frames;
};

PixelRun pixels_of(int64_t latent_frame, const Strides& strides) {
  if (latent_frame == 0) return {0, 1};
  return {strides.frames * (latent_frame - 1) + 1, strides.frames};
}

const at::Tensor& any_frame(const std::vector<GivenFrames>& given) {
  for (const GivenFrames& shot : given)
    for (const at::Tensor* frame : {&shot.first, &shot.last})
      if (frame->defined()) return *frame;
  fail("image condition: no shot has an image");
}

// The clip [1, 3, T, Y, X] and the mask [stride, F, 1, 1], on the host.
struct Canvas {
  at::Tensor clip, mask;
  Strides strides;

  void show_first(const at::Tensor& image, int64_t latent_frame) {
    const PixelRun run = pixels_of(latent_frame, strides);
    clip.narrow(2, run.begin, run.frames).copy_(image.view({1, 3, 1, image.size(1), image.size(2)}));
    mask.select(1, latent_frame).fill_(1.0);
  }
  void show_last(const at::Tensor& image, int64_t latent_frame) {
    const PixelRun run = pixels_of(latent_frame, strides);
    clip.select(2, run.begin + run.frames - 1).copy_(image.unsqueeze(0));
    mask.select(1, latent_frame).select(0, strides.frames - 1).fill_(1.0);
  }
};

std::vector<int64_t> shots_of(const std::vector<int64_t>& shot_frames, int64_t frames,
                              const std::vector<GivenFrames>& given) {
  const std::vector<int64_t> shots = shot_frames.empty() ? std::vector{frames} : shot_frames;
  check(given.size() == shots.size(), "image condition: images of ", given.size(), " shots, expected ", shots.size());
  return shots;
}

// With all images at their places, of the first `frames` latent frames: shots from there on must have none.
Canvas canvas_of(const Codec& codec, const std::vector<int64_t>& shots, int64_t frames,
                 const std::vector<GivenFrames>& given) {
  const at::Tensor& any = any_frame(given);
  const Strides strides = codec.config().strides();
  const at::ScalarType dtype = codec.parameters().front().scalar_type();
  Canvas canvas{at::zeros({1, 3, strides.pixel_frames(frames), any.size(1), any.size(2)}, dtype),
                at::zeros({strides.frames, frames, 1, 1}), strides};
  int64_t begin = 0;
  for (size_t shot = 0; shot < shots.size(); begin += shots[shot++]) {
    for (const at::Tensor* frame : {&given[shot].first, &given[shot].last})
      check(!frame->defined() || frame->sizes() == any.sizes(), "image condition: an image of shot ", shot + 1, " is ",
            frame->sizes(), ", expected ", any.sizes(), " as the others");
    if (given[shot].first.defined()) canvas.show_first(given[shot].first, begin);
    if (given[shot].last.defined()) canvas.show_last(given[shot].last, begin + shots[shot] - 1);
  }
  return canvas;
}

}  // namespace

at::Tensor image_condition(Codec& codec, const std::vector<int64_t>& shot_frames, int64_t frames,
                           const std::vector<GivenFrames>& given) {
  const at::NoGradGuard no_grad;
  const Canvas canvas = canvas_of(codec, shots_of(shot_frames, frames, given), frames, given);
  const at::Tensor latents = codec.encode(canvas.clip)[0].to(at::kFloat);  // [z, F, Y', X']
  const at::Tensor mask =
      canvas.mask.to(latents.device()).expand({canvas.strides.frames, frames, latents.size(2), latents.size(3)});
  return at::cat({mask, latents});
}

GivenLatents given_latents(Codec& codec, const std::vector<int64_t>& shot_frames, int64_t frames,
                           const std::vector<GivenFrames>& given) {
  const at::NoGradGuard no_grad;
  const std::vector<int64_t> shots = shots_of(shot_frames, frames, given);
  GivenLatents result;
  int64_t begin = 0;
  for (size_t shot = 0; shot < shots.size(); begin += shots[shot++]) {
    check(!given[shot].last.defined(), "given latents: shot ", shot + 1,
          " has a last image, expected first ones alone");
    if (given[shot].first.defined()) result.frames.push_back(begin);
  }
  if (result.frames.empty()) return result;
  const Canvas canvas = canvas_of(codec, shots, result.frames.back() + 1, given);
  const at::Tensor latents = codec.encode(canvas.clip)[0].to(at::kFloat);
  result.latents = latents.index_select(1, at::tensor(result.frames, at::kLong).to(latents.device()));
  return result;
}

}  // namespace moga
