// See image_condition.h.
#include "moga/model/image_condition.h"

#include <ATen/ATen.h>

#include <numeric>

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

std::vector<int64_t> shots_of(const std::vector<int64_t>& shot_frames, int64_t frames,
                              const std::vector<GivenFrames>& given) {
  const std::vector<int64_t> shots = shot_frames.empty() ? std::vector{frames} : shot_frames;
  check(given.size() == shots.size(), "image condition: images of ", given.size(), " shots, expected ", shots.size());
  return shots;
}

std::vector<bool> which(const std::vector<GivenFrames>& given, at::Tensor GivenFrames::*frame) {
  std::vector<bool> flags;
  for (const GivenFrames& shot : given) flags.push_back((shot.*frame).defined());
  return flags;
}

}  // namespace

at::Tensor given_frame(const at::Tensor& image) { return image.to(at::kFloat).div(255.0).mul(2.0).sub(1.0); }

at::Tensor image_clip(const Codec& codec, const std::vector<int64_t>& shot_frames, int64_t frames,
                      const std::vector<GivenFrames>& given) {
  const std::vector<int64_t> shots = shots_of(shot_frames, frames, given);
  const at::Tensor& any = any_frame(given);
  const Strides strides = codec.config().strides();
  const at::ScalarType dtype = codec.parameters().front().scalar_type();
  at::Tensor clip = at::zeros({1, 3, strides.pixel_frames(frames), any.size(1), any.size(2)}, dtype);
  int64_t begin = 0;
  for (size_t shot = 0; shot < shots.size(); begin += shots[shot++]) {
    const auto& [first, last] = given[shot];
    for (const at::Tensor* frame : {&first, &last})
      check(!frame->defined() || frame->sizes() == any.sizes(), "image condition: an image of shot ", shot + 1, " is ",
            frame->sizes(), ", expected ", any.sizes(), " as the others");
    const PixelRun begins = pixels_of(begin, strides), ends = pixels_of(begin + shots[shot] - 1, strides);
    if (first.defined())
      clip.narrow(2, begins.begin, begins.frames).copy_(first.view({1, 3, 1, first.size(1), first.size(2)}));
    if (last.defined()) clip.select(2, ends.begin + ends.frames - 1).copy_(last.unsqueeze(0));
  }
  return clip;
}

at::Tensor image_mask(int64_t stride, const std::vector<int64_t>& shot_frames, const std::vector<bool>& first,
                      const std::vector<bool>& last) {
  const int64_t frames = std::accumulate(shot_frames.begin(), shot_frames.end(), int64_t{0});
  at::Tensor mask = at::zeros({stride, frames, 1, 1});
  int64_t begin = 0;
  for (size_t shot = 0; shot < shot_frames.size(); begin += shot_frames[shot++]) {
    if (first[shot]) mask.select(1, begin).fill_(1.0);
    if (last[shot]) mask.select(1, begin + shot_frames[shot] - 1).select(0, stride - 1).fill_(1.0);
  }
  return mask;
}

at::Tensor masked_condition(const at::Tensor& mask, const at::Tensor& latents) {
  return at::cat(
      {mask.to(latents.options()).expand({mask.size(0), mask.size(1), latents.size(2), latents.size(3)}), latents});
}

std::vector<int64_t> given_latent_frames(const std::vector<int64_t>& shot_frames, const std::vector<bool>& first) {
  std::vector<int64_t> frames;
  int64_t begin = 0;
  for (size_t shot = 0; shot < shot_frames.size(); begin += shot_frames[shot++])
    if (first[shot]) frames.push_back(begin);
  return frames;
}

at::Tensor image_condition(Codec& codec, const std::vector<int64_t>& shot_frames, int64_t frames,
                           const std::vector<GivenFrames>& given) {
  const at::NoGradGuard no_grad;
  const std::vector<int64_t> shots = shots_of(shot_frames, frames, given);
  const at::Tensor latents = codec.encode(image_clip(codec, shots, frames, given))[0].to(at::kFloat);  // [z, F, Y', X']
  const at::Tensor mask = image_mask(codec.config().strides().frames, shots, which(given, &GivenFrames::first),
                                     which(given, &GivenFrames::last));
  return masked_condition(mask, latents);
}

GivenLatents given_latents(Codec& codec, const std::vector<int64_t>& shot_frames, int64_t frames,
                           const std::vector<GivenFrames>& given) {
  const at::NoGradGuard no_grad;
  const std::vector<int64_t> shots = shots_of(shot_frames, frames, given);
  for (size_t shot = 0; shot < shots.size(); ++shot)
    check(!given[shot].last.defined(), "given latents: shot ", shot + 1,
          " has a last image, expected first ones alone");
  GivenLatents result;
  result.frames = given_latent_frames(shots, which(given, &GivenFrames::first));
  if (result.frames.empty()) return result;
  const at::Tensor latents = codec.encode(image_clip(codec, shots, result.frames.back() + 1, given))[0].to(at::kFloat);
  result.latents = latents.index_select(1, at::tensor(result.frames, at::kLong).to(latents.device()));
  return result;
}

}  // namespace moga
