// See denoiser.h. Both halves of a guided evaluation read the same x: the packed batch holds views of it, no copies.
// All collectives are issued by every rank of the mesh in the same order.
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

Denoiser::Denoiser(VideoModel& model, DenoiserInput input)
    : model_(model), input_(std::move(input)), text_(input_.text) {
  check(!input_.videos.empty(), "denoiser: no videos");
  check(guided() || !split(), "denoiser: ", input_.mesh.guidance().size(),
        " guidance ranks, expected 1: at guidance 1 there is no negative prompt to evaluate");
  const Layout once{input_.videos};
  const int64_t halves = guided() ? 2 : 1;
  check(text_.dim() == 3 && text_.size(0) == halves * once.shots(), "denoiser: text ", text_.sizes(), " for ",
        halves * once.shots(), " shots", guided() ? ", those of the negative prompts included" : "");
  if (split()) text_ = text_.narrow(0, input_.mesh.guidance().rank() * once.shots(), once.shots());
  for (int64_t half = 0; half < (split() ? 1 : halves); ++half)
    layout_.videos.insert(layout_.videos.end(), input_.videos.begin(), input_.videos.end());
  for (const VideoShape& video : input_.videos) shapes_.push_back(model.config().latent_shape(video));
}

std::pair<at::Tensor, at::Tensor> Denoiser::both_halves(const VideoModelOutput& output) const {
  const size_t videos = shapes_.size();
  const at::Tensor first = packed(output.velocity, 0, videos);
  if (!split()) return {first, packed(output.velocity, videos, 2 * videos)};
  const at::Tensor both = input_.mesh.guidance().all_gather(first.unsqueeze(0));  // [2, E]
  return {both[0], both[1]};
}

DenoiserOutput Denoiser::evaluate(const at::Tensor& x, const DenoiserStep& step) const {
  check(input_.mesh.world().size() == 1 || !step.observer, "denoiser: an observer sees one rank, the mesh has ",
        input_.mesh.world().size());
  const std::vector<at::Tensor> views = PackedLatents{x, shapes_}.views();
  VideoModelInput input;
  for (size_t video = 0; video < layout_.videos.size(); ++video) input.latents.push_back(views[video % views.size()]);
  input.timestep = at::full({static_cast<int64_t>(layout_.videos.size())}, step.timestep, x.options());
  input.text = text_;
  input.layout = layout_;
  input.full_attention = step.full_attention;
  input.observer = step.observer;
  input.sequence = input_.mesh.sequence();
  VideoModelOutput output = model_.forward(input, input_.dtype);
  if (!guided()) return {packed(output.velocity, 0, shapes_.size()), output.group_histogram};
  const auto [captions, negative] = both_halves(output);
  output.velocity.clear();
  if (split() && output.group_histogram.defined()) input_.mesh.guidance().all_reduce(output.group_histogram);
  return {guided_velocity(captions, negative, input_.guidance), output.group_histogram};
}

}  // namespace moga
