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

Denoiser::Denoiser(VideoModel& model, DenoiserInput input) : input_(std::move(input)) {
  check(!input_.videos.empty(), "denoiser: no videos");
  const auto& low_noise = input_.low_noise;
  const bool guided = input_.guidance != 1.0 || (low_noise && low_noise->guidance != 1.0);
  check(guided || !split(), "denoiser: ", input_.mesh.guidance().size(),
        " guidance ranks, expected 1: at guidance 1 there is no negative prompt to evaluate");
  const int64_t texts = (guided ? 2 : 1) * Layout{input_.videos}.shots();
  check(input_.text.dim() == 3 && input_.text.size(0) == texts, "denoiser: text ", input_.text.sizes(), " for ", texts,
        " shots", guided ? ", those of the negative prompts included" : "");
  check(input_.text_lengths.empty() || static_cast<int64_t>(input_.text_lengths.size()) == texts,
        "denoiser: ", input_.text_lengths.size(), " text lengths for ", texts, " captions");
  for (const VideoShape& video : input_.videos) shapes_.push_back(model.config().latent_shape(video));
  check_given();
  for (const GivenLatents& given : input_.given)
    given_rows_.push_back(at::tensor(given.frames, at::kLong).to(input_.text.device()));
  experts_.push_back(make_expert(model, input_.guidance));
  if (low_noise) experts_.push_back(make_expert(*low_noise->model, low_noise->guidance));
}

Denoiser::Expert Denoiser::make_expert(VideoModel& model, double guidance) const {
  Expert expert{&model, guidance, {}};
  VideoModelInput& fixed = expert.fixed;
  const bool together = expert.guided() && !split();
  for (int half = 0; half < (together ? 2 : 1); ++half) {
    fixed.layout.videos.insert(fixed.layout.videos.end(), input_.videos.begin(), input_.videos.end());
    fixed.condition.insert(fixed.condition.end(), input_.condition.begin(), input_.condition.end());
    for (const GivenLatents& given : input_.given) fixed.given_frames.push_back(given.frames);
    fixed.image.counts.insert(fixed.image.counts.end(), input_.image.counts.begin(), input_.image.counts.end());
  }
  const int64_t shots = fixed.layout.shots();
  const int64_t first = expert.guided() && split() ? input_.mesh.guidance().rank() * shots : 0;
  fixed.text = input_.text.narrow(0, first, shots);
  const auto& lengths = input_.text_lengths;
  if (!lengths.empty()) fixed.text_lengths.assign(lengths.begin() + first, lengths.begin() + first + shots);
  fixed.sequence = input_.mesh.sequence();
  const at::Tensor& image = input_.image.rows;
  if (image.defined()) fixed.image.rows = together ? at::cat({image, image}) : image;
  return expert;
}

void Denoiser::check_given() const {
  check(input_.given.empty() || input_.given.size() == shapes_.size(), "denoiser: given frames of ",
        input_.given.size(), " videos, expected ", shapes_.size());
  for (size_t video = 0; video < input_.given.size(); ++video) {
    const auto& [frames, latents] = input_.given[video];
    std::vector<int64_t> expected = shapes_[video];
    expected[1] = static_cast<int64_t>(frames.size());
    check(frames.empty() || latents.sizes() == expected, "denoiser: given latents of video ", video, " are ",
          frames.empty() ? at::IntArrayRef() : latents.sizes(), ", expected ", at::IntArrayRef(expected));
  }
}

at::Tensor Denoiser::with_given(const at::Tensor& x) const {
  if (input_.given.empty()) return x;
  const PackedLatents shown{x.clone(), shapes_};
  std::vector<at::Tensor> videos = shown.views();
  for (size_t video = 0; video < videos.size(); ++video)
    if (const GivenLatents& given = input_.given[video]; !given.frames.empty())
      videos[video].index_copy_(1, given_rows_[video], given.latents.to(x.options()));
  return shown.values;
}

size_t Denoiser::expert_at(double timestep) const {
  return input_.low_noise && timestep < input_.low_noise->below ? 1 : 0;
}

void Denoiser::wake(size_t expert) const {
  for (size_t other = 0; other < experts_.size(); ++other)
    if (other != expert) experts_[other].model->rest();
  experts_[expert].model->wake();
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
  const size_t number = expert_at(step.timestep);
  const Expert& expert = experts_[number];
  wake(number);
  const std::vector<at::Tensor> views = PackedLatents{with_given(x), shapes_}.views();
  VideoModelInput input = expert.fixed;
  const size_t evaluated = input.layout.videos.size();
  for (size_t video = 0; video < evaluated; ++video) input.latents.push_back(views[video % views.size()]);
  input.timestep = at::full({static_cast<int64_t>(evaluated)}, step.timestep, x.options());
  input.full_attention = step.full_attention;
  input.observer = step.observer;
  VideoModelOutput output = expert.model->forward(input, input_.dtype);
  if (!expert.guided()) return {packed(output.velocity, 0, shapes_.size()), output.group_histogram, number};
  const auto [captions, negative] = both_halves(output);
  output.velocity.clear();
  if (split() && output.group_histogram.defined()) input_.mesh.guidance().all_reduce(output.group_histogram);
  return {guided_velocity(captions, negative, expert.guidance), output.group_histogram, number};
}

}  // namespace moga
