// See shot_images.h.
#include "moga/train/video/shot_images.h"

#include <ATen/ATen.h>

#include <filesystem>

#include "moga/core/check.h"
#include "moga/model/image_condition.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

// First and last pixel frame of each shot, [3, Y, X]; undefined where it is no image.
struct ShotPixels {
  std::vector<at::Tensor> first, last;
};

ShotPixels pixels_of(const at::Tensor& frames, const std::vector<int64_t>& shot_frames, const ShownImages& shown,
                     const Strides& strides) {
  ShotPixels pixels;
  int64_t begin = 0;
  const std::vector<int64_t> lengths = strides.pixel_shot_frames(shot_frames);
  for (size_t shot = 0; shot < lengths.size(); begin += lengths[shot++]) {
    pixels.first.push_back(shown.first[shot] ? frames[begin] : at::Tensor());
    pixels.last.push_back(shown.last[shot] ? frames[begin + lengths[shot] - 1] : at::Tensor());
  }
  return pixels;
}

}  // namespace

ShotImageMaker::ShotImageMaker(const ImagesConfig& config, at::Device device) : config_(config), device_(device) {
  if (config.image_encoder.empty()) return;
  const fs::path folder = config.image_encoder;
  check(fs::exists(folder / "config.json"), "images.image_encoder: ", config.image_encoder,
        " has no config.json, expected the folder image_encoder of a model folder");
  encoder_ = load_image_encoder(folder, device);
  processor_ =
      load_image_processor_config((folder / "..").lexically_normal() / "image_processor" / "preprocessor_config.json");
}

at::Tensor ShotImageMaker::embed(const std::vector<at::Tensor>& images) {
  std::vector<at::Tensor> pixels;
  for (const at::Tensor& image : images)
    if (image.defined()) pixels.push_back(processed(image.cpu(), processor_));
  if (pixels.empty()) return {};
  return encoder_->forward(at::stack(pixels).to(device_)).flatten(0, 1);
}

DrawnImages ShotImageMaker::draw(const Codec& codec, uint64_t video, const at::Tensor& frames,
                                 const std::vector<int64_t>& shot_frames, bool whole) {
  DrawnImages drawn{draw_images(config_, video, shot_frames), {}, {}};
  if (drawn.shown.count() == 0) return drawn;
  const Strides strides = codec.config().strides();
  const ShotPixels pixels = pixels_of(frames, shot_frames, drawn.shown, strides);
  std::vector<GivenFrames> given;
  for (size_t shot = 0; shot < shot_frames.size(); ++shot) {
    const auto frame = [](const at::Tensor& image) { return image.defined() ? given_frame(image) : at::Tensor(); };
    given.push_back({frame(pixels.first[shot]), frame(pixels.last[shot])});
    if (encoder_) drawn.embeddings.push_back(embed({pixels.first[shot], pixels.last[shot]}));
  }
  const bool all = whole || config_.form == ImageForm::kCondition;
  const int64_t latent_frames =
      all ? strides.latent_frames(frames.size(0)) : given_latent_frames(shot_frames, drawn.shown.first).back() + 1;
  drawn.clip = image_clip(codec, shot_frames, latent_frames, given);
  return drawn;
}

SampleImages ShotImageMaker::stored(const DrawnImages& drawn, const at::Tensor& latents,
                                    const std::vector<int64_t>& shot_frames) const {
  SampleImages images{.form = config_.form, .shown = drawn.shown, .embeddings = drawn.embeddings};
  if (config_.form == ImageForm::kCondition) images.condition = latents;
  if (config_.form != ImageForm::kLatents || !latents.defined()) return images;
  const at::Tensor rows = at::tensor(given_latent_frames(shot_frames, drawn.shown.first), at::kLong);
  images.latents = latents.index_select(1, rows.to(latents.device()));
  return images;
}

}  // namespace moga
