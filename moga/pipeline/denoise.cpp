// The sampler sees one flat tensor x that holds the latents of all videos, one after the other; the transformer sees
// the latents. pack and unpack lie between the two. Guidance: moga/sampler/solver.h.
#include "moga/pipeline/denoise.h"

#include <ATen/ATen.h>

#include <map>

#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/core/random.h"
#include "moga/model/captions.h"

namespace moga {
namespace {

// The part of the transformer's input that stays the same through all steps.
struct Batch {
  std::vector<std::vector<int64_t>> latent_shapes;  // one a video of the layout
  Layout layout;
  at::Tensor text;                     // [S_total, text_len, text_dim]
  std::map<double, double> timesteps;  // what the transformer is told at each time of the schedule
  double full_until = 1;               // times from 1 down to this one: full attention in all layers
};

at::Tensor pack(const std::vector<at::Tensor>& latents, size_t begin, size_t end) {
  std::vector<at::Tensor> flat;
  for (size_t i = begin; i < end; ++i) flat.push_back(latents[i].flatten());
  return at::cat(flat);
}

// Views of x, again from the beginning for the second half of a guided batch.
std::vector<at::Tensor> unpack(const at::Tensor& x, const std::vector<std::vector<int64_t>>& shapes) {
  std::vector<at::Tensor> latents;
  int64_t begin = 0;
  for (const auto& shape : shapes) {
    if (begin == x.numel()) begin = 0;
    const int64_t size = c10::multiply_integers(shape);
    latents.push_back(x.slice(0, begin, begin + size).view(shape));
    begin += size;
  }
  return latents;
}

std::vector<int64_t> latent_shape(const Models& models, const VideoShape& shape) {
  return {models.vae->config().z_dim, shape.frames, 2 * shape.rows, 2 * shape.columns};
}

void check_requests(const Models& models, const std::vector<VideoRequest>& requests) {
  check(!requests.empty(), "denoise: no videos asked for");
  for (const VideoRequest& request : requests) {
    request.shape.validate();
    check(static_cast<int64_t>(request.captions.size()) == request.shape.shots(), "denoise: ", request.captions.size(),
          " captions for ", request.shape.shots(), " shots");
    const std::vector<int64_t> latent = latent_shape(models, request.shape);
    check(!request.noise.defined() || request.noise.sizes() == latent, "noise ", request.noise.sizes(),
          " does not fit the video, expected ", at::IntArrayRef(latent), " (z, latent frames, height/8, width/8)");
  }
}

std::map<double, double> timesteps_of(const SamplerConfig& sampler) {
  const std::vector<double> times = flow_schedule(sampler), timesteps = model_timesteps(sampler);
  std::map<double, double> result;
  for (size_t i = 0; i < timesteps.size(); ++i) result[times[i]] = timesteps[i];
  return result;
}

// The time that sampler.full_steps lead to: an evaluation at a later (larger) time belongs to them.
double end_of_full_steps(const SamplerConfig& sampler) {
  const std::vector<double> times = flow_schedule(sampler);
  return times[std::min<size_t>(sampler.full_steps, times.size() - 1)];
}

Batch make_batch(Models& models, const std::vector<VideoRequest>& requests, bool guided) {
  Batch batch;
  std::vector<std::string> texts;
  for (const bool conditional : {true, false}) {
    if (!conditional && !guided) break;
    for (const VideoRequest& request : requests) {
      const VideoShape& shape = request.shape;
      batch.latent_shapes.push_back(latent_shape(models, shape));
      batch.layout.videos.push_back(shape);
      for (const std::string& caption : request.captions)
        texts.push_back(conditional ? caption : request.negative_prompt);
    }
  }
  Progress progress("text", static_cast<int64_t>(texts.size()), "caption");
  batch.text = encode_captions(models.text_encoder, models.tokenizer, texts, models.transformer->config().text_len,
                               models.dtype);
  progress.advance(static_cast<int64_t>(texts.size()));
  stop_if_interrupted();
  return batch;
}

at::Tensor make_noise(const Models& models, const std::vector<VideoRequest>& requests, const Batch& batch) {
  std::vector<at::Tensor> noise;
  for (size_t i = 0; i < requests.size(); ++i)
    noise.push_back(requests[i].noise.defined()
                        ? requests[i].noise.to(at::kCPU, at::kFloat)
                        : at::randn(batch.latent_shapes[i], random_stream(requests[i].seed, "noise"), at::kFloat));
  return pack(noise, 0, noise.size()).to(models.device);
}

std::vector<at::Tensor> velocities(Models& models, const Batch& batch, const at::Tensor& x, double t) {
  const double timestep = batch.timesteps.at(t);
  TransformerInput input;
  input.latents = unpack(x, batch.latent_shapes);
  input.timestep = at::full({static_cast<int64_t>(input.latents.size())}, timestep, x.options());
  input.text = batch.text;
  input.layout = batch.layout;
  input.full_attention = t > batch.full_until;
  return models.transformer->forward(input, models.dtype).velocity;
}

Velocity make_velocity(Models& models, const Batch& batch, size_t videos, double guidance) {
  if (batch.latent_shapes.size() == videos)
    return [&models, &batch, videos](const at::Tensor& x, double t) {
      return pack(velocities(models, batch, x, t), 0, videos);
    };
  return guided(
      [&models, &batch, videos](const at::Tensor& x, double t) {
        const auto both = velocities(models, batch, x, t);
        return std::pair{pack(both, 0, videos), pack(both, videos, 2 * videos)};
      },
      guidance);
}

void log_plan(const Models& models, const Batch& batch, size_t videos, const SamplerConfig& sampler) {
  const TransformerConfig& config = models.transformer->config();
  const VisualAttentionConfig& moga = config.moga;
  std::string attention = moga.kind;
  if (moga.uses_router()) attention += " + " + std::to_string(moga.groups) + " groups";
  if (moga.kind == "moga" && moga.window) attention += " + windows";
  if (moga.kind == "moga" && moga.frame) attention += " + frames";
  if (moga.kind == "moga") attention += " (" + moga.combine + ")";
  if (moga.kind == "moga" && !moga.full_layers.empty())
    attention += ", full in " + std::to_string(moga.full_layers.size()) + " blocks";
  if (moga.kind == "moga" && sampler.full_steps > 0)
    attention += ", full in the first " + std::to_string(sampler.full_steps) + " steps";
  log_info("transformer: ", config.num_layers, " blocks of width ", config.width(), ", ", attention, ", backend ",
           moga.backend, ", ", dtype_name(models.dtype), " on ", device_name(models.device));
  log_info("batch: ", videos, videos == 1 ? " video" : " videos",
           batch.layout.videos.size() > videos ? ", each with and without its captions, " : ", ", batch.layout.tokens(),
           " tokens, ", batch.layout.shots(), " shots; ", sampler.solver, ", ", sampler.steps, " steps, shift ",
           sampler.shift, ", guidance ", sampler.guidance);
}

}  // namespace

VideoShape video_shape(int64_t width, int64_t height, const std::vector<int64_t>& latent_shot_frames) {
  check(width >= 16 && height >= 16 && width % 16 == 0 && height % 16 == 0, "a video of ", width, "x", height,
        " does not fit the model: width and height must be multiples of 16");
  VideoShape shape;
  shape.frames = 0;
  for (const int64_t frames : latent_shot_frames) shape.frames += frames;
  shape.rows = height / 16;
  shape.columns = width / 16;
  shape.shot_frames = latent_shot_frames;
  shape.validate();
  return shape;
}

std::vector<at::Tensor> denoise(Models& models, const std::vector<VideoRequest>& requests,
                                const SamplerConfig& sampler) {
  const at::NoGradGuard no_grad;
  sampler.validate();
  check_requests(models, requests);
  Batch batch = make_batch(models, requests, sampler.guidance != 1.0);
  batch.timesteps = timesteps_of(sampler);
  batch.full_until = end_of_full_steps(sampler);
  log_plan(models, batch, requests.size(), sampler);
  const at::Tensor noise = make_noise(models, requests, batch);
  const Velocity velocity = make_velocity(models, batch, requests.size(), sampler.guidance);
  Progress progress("denoise", sampler.steps, "step");
  const at::Tensor latents = sample(velocity, noise, sampler, [&](int64_t, const at::Tensor&) {
    progress.advance();
    stop_if_interrupted();
  });
  auto shapes = batch.latent_shapes;
  shapes.resize(requests.size());
  return unpack(latents, shapes);
}

}  // namespace moga
