// See images.h.
#include "moga/pipeline/images.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/model/image/resample.h"
#include "moga/model/image_condition.h"

namespace moga {
namespace {

constexpr const char* kFirstAlone =
    " has a last_image, and the model takes first frames alone, expected a model of first and last frames (FLF2V) ";

// uint8 [3, y, x] → float32 [3, Y, X] in [-1, 1], in diffusers' order of operations; undefined stays so.
at::Tensor as_frame(const at::Tensor& image, int64_t height, int64_t width) {
  if (!image.defined()) return {};
  return given_frame(resample(image, height, width, Filter::kLanczos));
}

std::vector<ShotHas> shots_of(const VideoRequest& request) {
  std::vector<ShotHas> shots(static_cast<size_t>(request.shape.shots()));
  for (size_t i = 0; i < request.images.size() && i < shots.size(); ++i)
    shots[i] = {request.images[i].first.defined(), request.images[i].last.defined()};
  return shots;
}

std::vector<int64_t> latent_frames_of(const VideoShape& shape) {
  return shape.shot_frames.empty() ? std::vector{shape.frames} : shape.shot_frames;
}

std::vector<GivenFrames> frames_of(const Models& models, const VideoRequest& request) {
  const Strides pixels = models.pixels_per_token();
  std::vector<GivenFrames> frames;
  for (const ShotImages& shot : request.images)
    frames.push_back({as_frame(shot.first, request.shape.rows * pixels.rows, request.shape.columns * pixels.columns),
                      as_frame(shot.last, request.shape.rows * pixels.rows, request.shape.columns * pixels.columns)});
  return frames;
}

// What the model is shown of one request's images.
void encode_video(Models& models, const VideoRequest& request, Conditions& conditions) {
  const VideoShape& shape = request.shape;
  const std::vector<GivenFrames> frames = frames_of(models, request);
  if (!models.expand_timesteps)
    conditions.images.push_back(image_condition(*models.vae, shape.shot_frames, shape.frames, frames));
  else if (frames.empty())  // a request without images
    conditions.given.emplace_back();
  else
    conditions.given.push_back(given_latents(*models.vae, shape.shot_frames, shape.frames, frames));
}

bool any_images(const std::vector<VideoRequest>& requests) {
  return std::ranges::any_of(requests, [](const VideoRequest& request) {
    return std::ranges::any_of(request.images, [](const ShotImages& shot) { return shot.first.defined(); });
  });
}

// Of one shot: [tokens, image_dim], first before last.
at::Tensor encode_shot(Models& models, const ShotImages& shot) {
  std::vector<at::Tensor> pixels;
  for (const at::Tensor* image : {&shot.first, &shot.last})
    if (image->defined()) pixels.push_back(processed(*image, models.image_processor));
  if (pixels.empty()) return {};
  return models.image_encoder->forward(at::stack(pixels).to(models.device)).flatten(0, 1);
}

ImageTokens encode_tokens(Models& models, const std::vector<VideoRequest>& requests) {
  ImageTokens tokens;
  std::vector<at::Tensor> rows;
  for (const VideoRequest& request : requests)
    for (const ShotImages& shot : request.images) {
      const at::Tensor own = encode_shot(models, shot);
      tokens.counts.push_back(own.defined() ? own.size(0) : 0);
      if (own.defined()) rows.push_back(own);
    }
  tokens.rows = at::cat(rows);
  return tokens;
}

}  // namespace

void check_images(const VideoModelConfig& model, const std::vector<ShotHas>& shots,
                  const std::vector<int64_t>& latent_frames, bool expand_timesteps) {
  const Conditioning wanted = model.conditioning();
  const auto given = [](const ShotHas& shot) { return shot.first || shot.last; };
  const auto first = std::ranges::find_if(shots, given);
  if (expand_timesteps) {
    for (size_t i = 0; i < shots.size(); ++i)
      check(!shots[i].last, "shot ", i + 1, kFirstAlone, "or Wan2.2's I2V-A14B");
    return;
  }
  if (wanted.channels == 0) {
    check(first == shots.end(), "shot ", first - shots.begin() + 1, " has an image, and the model is a text-to-video ",
          "model, expected an image-to-video model or no image");
    return;
  }
  check(first != shots.end(), "no shot has an image, and the model is an image-to-video model: expected ",
        "image = \"FILE\" in a [[shot]] of the script");
  const bool pairs = wanted.image_tokens > 0;  // learned positions of first and last frame
  for (size_t i = 0; i < shots.size(); ++i) {
    const auto [begins, ends] = shots[i];
    check(!ends || begins, "shot ", i + 1, " has a last_image without an image, expected both");
    check(!ends || pairs || wanted.image_dim == 0, "shot ", i + 1, kFirstAlone, "or Wan2.2's");
    check(!begins || ends || !pairs, "shot ", i + 1, " has no last_image, and the model takes first and last frames ",
          "(FLF2V), expected both");
    check(!ends || latent_frames[i] > 1, "shot ", i + 1,
          " is one latent frame long, too short for image and last_image");
  }
}

void encode_images(Models& models, const std::vector<VideoRequest>& requests, Conditions& conditions,
                   const ProcessGroup& ranks) {
  const at::NoGradGuard no_grad;
  std::optional<StopInside> stop_inside;  // several ranks end together, after a step
  if (ranks.size() == 1) stop_inside.emplace();
  const VideoModelConfig& model = models.transformer->config();
  for (const VideoRequest& request : requests)
    check_images(model, shots_of(request), latent_frames_of(request.shape), models.expand_timesteps);
  if (models.expand_timesteps ? !any_images(requests) : model.conditioning().channels == 0) return;
  Progress progress("images", static_cast<int64_t>(requests.size()), "video");
  for (const VideoRequest& request : requests) {
    encode_video(models, request, conditions);
    progress.advance();
    if (ranks.size() == 1) stop_if_interrupted();
  }
  if (model.conditioning().image_dim > 0) conditions.image_tokens = encode_tokens(models, requests);
}

Conditions encode_conditions(Models& models, const std::vector<VideoRequest>& requests, const SamplerConfig& sampler) {
  Conditions conditions{encode_prompts(models, requests, sampler)};
  encode_images(models, requests, conditions);
  return conditions;
}

}  // namespace moga
