// See denoiser.h. Both halves of a guided evaluation read the same x: the packed batch holds views of it, no copies.
#include "moga/model/denoiser.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"

namespace moga {
namespace {

at::Tensor packed(const std::vector<at::Tensor>& videos, size_t begin, size_t end) {
  return PackedLatents::pack({videos.begin() + static_cast<int64_t>(begin), videos.begin() + static_cast<int64_t>(end)})
      .values;
}

}  // namespace

at::Tensor guided_velocity(const at::Tensor& captions, const at::Tensor& negative, double scale) {
  return at::add(negative, captions - negative, scale);
}

Denoiser::Denoiser(VideoModel& model, DenoiserInput input) : model_(model), input_(std::move(input)) {
  check(!input_.videos.empty(), "denoiser: no videos");
  for (int half = 0; half < (guided() ? 2 : 1); ++half)
    layout_.videos.insert(layout_.videos.end(), input_.videos.begin(), input_.videos.end());
  for (const VideoShape& video : input_.videos) shapes_.push_back(model.config().latent_shape(video));
  check(input_.text.dim() == 3 && input_.text.size(0) == layout_.shots(), "denoiser: text ", input_.text.sizes(),
        " for ", layout_.shots(), " shots", guided() ? ", those of the negative prompts included" : "");
}

DenoiserOutput Denoiser::evaluate(const at::Tensor& x, const DenoiserStep& step) const {
  const std::vector<at::Tensor> views = PackedLatents{x, shapes_}.views();
  VideoModelInput input;
  for (size_t video = 0; video < layout_.videos.size(); ++video) input.latents.push_back(views[video % views.size()]);
  input.timestep = at::full({static_cast<int64_t>(layout_.videos.size())}, step.timestep, x.options());
  input.text = input_.text;
  input.layout = layout_;
  input.full_attention = step.full_attention;
  input.observer = step.observer;
  VideoModelOutput output = model_.forward(input, input_.dtype);
  const size_t videos = shapes_.size();
  const at::Tensor captions = packed(output.velocity, 0, videos);
  if (!guided()) return {captions, output.group_histogram};
  const at::Tensor negative = packed(output.velocity, videos, 2 * videos);
  output.velocity.clear();
  return {guided_velocity(captions, negative, input_.guidance), output.group_histogram};
}

}  // namespace moga
