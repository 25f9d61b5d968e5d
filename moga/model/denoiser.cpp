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

Denoiser::Denoiser(VideoModel& model, DenoiserInput input) : input_(std::move(input)) {
  check(!input_.videos.empty(), "denoiser: no videos");
  int64_t shots = 0;
  for (const VideoShape& video : input_.videos) {
    shapes_.push_back(model.config().latent_shape(video));
    shots += video.shots();
  }
  const auto& low_noise = input_.low_noise;
  const bool guided = input_.guidance != 1.0 || (low_noise && low_noise->guidance != 1.0);
  const int64_t texts = guided ? 2 * shots : shots;
  check(input_.text.dim() == 3 && input_.text.size(0) == texts, "denoiser: text ", input_.text.sizes(), " for ", texts,
        " shots", guided ? ", those of the negative prompts included" : "");
  experts_.push_back(make_expert(model, input_.guidance));
  if (low_noise) experts_.push_back(make_expert(*low_noise->model, low_noise->guidance));
}

Denoiser::Expert Denoiser::make_expert(VideoModel& model, double guidance) const {
  Expert expert{&model, guidance, {}};
  VideoModelInput& fixed = expert.fixed;
  const int halves = expert.guided() ? 2 : 1;
  for (int half = 0; half < halves; ++half) {
    fixed.layout.videos.insert(fixed.layout.videos.end(), input_.videos.begin(), input_.videos.end());
    fixed.condition.insert(fixed.condition.end(), input_.condition.begin(), input_.condition.end());
    fixed.image.counts.insert(fixed.image.counts.end(), input_.image.counts.begin(), input_.image.counts.end());
  }
  fixed.text = input_.text.narrow(0, 0, fixed.layout.shots());
  const at::Tensor& image = input_.image.rows;
  if (image.defined()) fixed.image.rows = expert.guided() ? at::cat({image, image}) : image;
  return expert;
}

size_t Denoiser::expert_at(double timestep) const {
  return input_.low_noise && timestep < input_.low_noise->below ? 1 : 0;
}

void Denoiser::wake(size_t expert) const {
  for (size_t other = 0; other < experts_.size(); ++other)
    if (other != expert) experts_[other].model->rest();
  experts_[expert].model->wake();
}

DenoiserOutput Denoiser::evaluate(const at::Tensor& x, const DenoiserStep& step) const {
  const size_t number = expert_at(step.timestep);
  const Expert& expert = experts_[number];
  wake(number);
  const std::vector<at::Tensor> views = PackedLatents{x, shapes_}.views();
  VideoModelInput input = expert.fixed;
  const size_t halves = expert.guided() ? 2 : 1, videos = views.size();
  for (size_t video = 0; video < halves * videos; ++video) input.latents.push_back(views[video % videos]);
  input.timestep = at::full({static_cast<int64_t>(halves * videos)}, step.timestep, x.options());
  input.full_attention = step.full_attention;
  input.observer = step.observer;
  VideoModelOutput output = expert.model->forward(input, input_.dtype);
  const at::Tensor captions = packed(output.velocity, 0, videos);
  if (!expert.guided()) return {captions, output.group_histogram, number};
  const at::Tensor negative = packed(output.velocity, videos, 2 * videos);
  output.velocity.clear();
  return {guided_velocity(captions, negative, expert.guidance), output.group_histogram, number};
}

}  // namespace moga
