// See denoise.h. The solver computes on one flat tensor x that holds the latents of all videos; the Denoiser evaluates
// the transformer on it. Here are noise, the checks of each step and the log.
#include "moga/pipeline/denoise.h"

#include <ATen/ATen.h>

#include <array>
#include <optional>
#include <sstream>
#include <utility>

#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/model/denoiser.h"
#include "moga/model/text/captions.h"
#include "moga/pipeline/group_balance.h"
#include "moga/pipeline/noise.h"
#include "moga/pipeline/share_state.h"

namespace moga {
namespace {

void check_requests(const Models& models, const std::vector<VideoRequest>& requests) {
  check(!requests.empty(), "denoise: no videos asked for");
  for (const VideoRequest& request : requests) {
    request.shape.validate();
    check(static_cast<int64_t>(request.captions.size()) == request.shape.shots(), "denoise: ", request.captions.size(),
          " captions for ", request.shape.shots(), " shots");
    const std::vector<int64_t> latent = models.transformer->config().latent_shape(request.shape);
    const Strides pixels = models.vae->config().strides();
    check(!request.noise.defined() || request.noise.sizes() == latent, "noise ", request.noise.sizes(),
          " does not fit the video, expected ", at::IntArrayRef(latent), " (z, latent frames, height/", pixels.rows,
          ", width/", pixels.columns, ")");
  }
}

at::Tensor make_noise(const std::vector<VideoRequest>& requests, const Denoiser& denoiser) {
  std::vector<at::Tensor> noise;
  for (size_t i = 0; i < requests.size(); ++i) noise.push_back(noise_of(requests[i], denoiser.latent_shapes()[i]));
  return PackedLatents::pack(noise).values;
}

// Throws soon after the step that made x NaN or infinite. A step's flag is read during the next step, so that the
// device never waits for the host.
class FiniteWatch {
 public:
  FiniteWatch(const SamplerConfig& sampler, at::ScalarType dtype) : steps_(sampler.steps), dtype_(dtype) {}

  void see(const SampleState& state) {
    check_last();
    last_ = at::isfinite(state.x).all();
    step_ = state.steps;
  }

  void check_last() const {
    if (!last_.defined() || last_.item<bool>()) return;
    fail("step ", step_, " of ", steps_, ": the latents are NaN or infinite; ",
         dtype_ == at::kHalf ? "float16 ends at 65504, bfloat16 and float32 do not overflow so soon"
                             : "are the weights damaged, or is the noise that was given not finite?");
  }

 private:
  int64_t steps_, step_ = 0;
  at::ScalarType dtype_;
  at::Tensor last_;  // bool []
};

// "guidance 2 x sequence 4"
std::string mesh_text(const Mesh& mesh) {
  return "guidance " + std::to_string(mesh.guidance().size()) + " x sequence " + std::to_string(mesh.sequence().size());
}

// "2 videos, 1200 tokens, 4 shots, evaluated with and without captions in each step"
std::string batch_text(const std::vector<VideoRequest>& requests, bool guided) {
  int64_t tokens = 0, shots = 0;
  for (const VideoRequest& request : requests) {
    tokens += request.shape.tokens();
    shots += request.shape.shots();
  }
  std::ostringstream text;
  text << requests.size() << (requests.size() == 1 ? " video" : " videos") << ", " << tokens << " tokens, " << shots
       << (shots == 1 ? " shot" : " shots");
  if (guided) text << ", evaluated with and without captions in each step";
  return text.str();
}

void log_plan(const Models& models, const std::vector<VideoRequest>& requests, const DenoiseOptions& options) {
  const SamplerConfig& sampler = options.sampler;
  const VideoModelConfig& config = models.transformer->config();
  const VisualAttentionConfig& moga = config.attention();
  const bool sparse = moga.kind == AttentionKind::kMoga;
  std::string attention = name_of(moga.kind);
  if (moga.uses_router()) attention += " + " + std::to_string(moga.groups) + " groups";
  if (sparse && moga.window) attention += " + windows";
  if (sparse && moga.frame) attention += " + frames";
  if (sparse) attention += " (" + std::string(name_of(moga.combine)) + ")";
  if (sparse && !moga.full_layers.empty())
    attention += ", full in " + std::to_string(moga.full_layers.size()) + " blocks";
  if (sparse && sampler.full_steps > 0)
    attention += ", full in the first " + std::to_string(sampler.full_steps) + " steps";
  log_info("transformer: ", config.shape().layers, " blocks of width ", config.shape().width(), ", ", attention,
           ", backend ", name_of(moga.backend), ", ", dtype_name(models.dtype), " on ", device_name(models.device));
  log_info("batch: ", batch_text(requests, sampler.guided()), "; ", name_of(sampler.solver), ", ", sampler.steps,
           " steps, shift ", sampler.shift, ", guidance ", sampler.guidance);
  if (const int64_t ranks = options.mesh.world().size(); ranks > 1)
    log_info("on ", ranks, " ranks: ", mesh_text(options.mesh));
  if (!models.transformer_2) return;
  const auto steps = steps_of_experts(models, sampler);
  log_info("experts: ", steps[0].size(), " steps from timestep ", models.boundary, " on, ", steps[1].size(),
           " steps below with guidance ", sampler.low_noise_guidance());
}

// The captions of all shots and, with guidance, their negative prompts.
std::vector<std::string> prompts_of(const std::vector<VideoRequest>& requests, const SamplerConfig& sampler) {
  std::vector<std::string> texts, negatives;
  for (const VideoRequest& request : requests) {
    texts.insert(texts.end(), request.captions.begin(), request.captions.end());
    negatives.insert(negatives.end(), request.captions.size(), request.negative_prompt);
  }
  if (sampler.guided()) texts.insert(texts.end(), negatives.begin(), negatives.end());
  return texts;
}

DenoiserInput denoiser_input(const Models& models, const std::vector<VideoRequest>& requests,
                             const Conditions& conditions, const DenoiseOptions& options) {
  const SamplerConfig& sampler = options.sampler;
  DenoiserInput input{.videos = {},
                      .text = conditions.text,
                      .condition = conditions.images,
                      .image = conditions.image_tokens,
                      .given = conditions.given,
                      .guidance = sampler.guidance,
                      .dtype = models.dtype};
  for (const VideoRequest& request : requests) input.videos.push_back(request.shape);
  if (models.transformer_2)
    input.low_noise = LowNoiseExpert{models.transformer_2.get(), models.boundary, sampler.low_noise_guidance()};
  input.text_lengths = prompt_lengths(models, requests, sampler);
  input.mesh = options.mesh;
  return input;
}

bool is_shown(const DenoiseOptions& options, int64_t steps) {
  const int64_t every = options.estimates.every;
  return every > 0 && options.mesh.world().rank() == 0 && steps % every == 0;
}

// A rank may end now: none reads from another one's memory any more.
void leave_together(const ProcessGroup& ranks, at::Device device) {
  if (ranks.size() == 1) return;
  synchronize(device);
  ranks.barrier();
}

}  // namespace

VideoShape video_shape(PixelSize size, const std::vector<int64_t>& latent_shot_frames,
                       const Strides& pixels_per_token) {
  check(size.width > 0 && size.height > 0 && pixels_per_token.divide(size.width, size.height), "a video of ",
        size.width, "x", size.height, " does not fit the model: width and height must be ",
        pixels_per_token.multiples());
  VideoShape shape;
  shape.frames = 0;
  for (const int64_t frames : latent_shot_frames) shape.frames += frames;
  shape.rows = size.height / pixels_per_token.rows;
  shape.columns = size.width / pixels_per_token.columns;
  shape.shot_frames = latent_shot_frames;
  shape.validate();
  return shape;
}

Mesh generation_mesh(const ProcessGroup& ranks, const SamplerConfig& sampler) {
  return Mesh::generation(ranks, guidance_ranks(ranks.size(), sampler.guided()));
}

at::Tensor encode_prompts(Models& models, const std::vector<VideoRequest>& requests, const SamplerConfig& sampler,
                          const ProcessGroup& ranks) {
  const at::NoGradGuard no_grad;
  std::optional<StopInside> stop_inside;  // several ranks end together, after a step
  if (ranks.size() == 1) stop_inside.emplace();
  sampler.validate();
  check_requests(models, requests);
  const std::vector<std::string> texts = prompts_of(requests, sampler);
  const auto captions = static_cast<int64_t>(texts.size());
  const Conditioning conditioning = models.transformer->config().conditioning();
  at::Tensor text;
  if (ranks.rank() == 0) {
    Progress progress("text", captions, "caption");
    text = encode_captions(models.text_encoder, models.tokenizer, texts, conditioning.text_tokens, models.dtype);
    progress.advance(captions);
  } else {
    text = at::empty({captions, conditioning.text_tokens, conditioning.text_dim},
                     at::device(models.device).dtype(models.dtype));
  }
  if (ranks.size() == 1) stop_if_interrupted();
  ranks.broadcast(text, 0);
  return text;
}

std::vector<int64_t> prompt_lengths(const Models& models, const std::vector<VideoRequest>& requests,
                                    const SamplerConfig& sampler) {
  const int64_t text_tokens = models.transformer->config().conditioning().text_tokens;
  const at::Tensor lengths = models.tokenizer.encode_batch(prompts_of(requests, sampler), text_tokens).lengths;
  return {lengths.const_data_ptr<int64_t>(), lengths.const_data_ptr<int64_t>() + lengths.numel()};
}

std::vector<std::vector<int64_t>> steps_of_experts(const Models& models, const SamplerConfig& sampler) {
  std::vector<std::vector<int64_t>> steps(models.transformer_2 ? 2 : 1);
  int64_t number = 0;
  for (const double timestep : model_timesteps(sampler))
    steps[models.transformer_2 && timestep < models.boundary ? 1 : 0].push_back(number++);
  return steps;
}

std::vector<at::Tensor> denoise(const Models& models, const std::vector<VideoRequest>& requests,
                                const Conditions& conditions, const DenoiseOptions& options) {
  const at::NoGradGuard no_grad;
  const ProcessGroup& ranks = options.mesh.world();
  std::optional<StopInside> stop_inside;  // several ranks end together, after a step
  if (ranks.size() == 1) stop_inside.emplace();
  const SamplerConfig& sampler = options.sampler;
  sampler.validate();
  check_requests(models, requests);
  const Denoiser denoiser(*models.transformer, denoiser_input(models, requests, conditions, options));
  log_plan(models, requests, options);
  std::array<GroupBalance, 2> balance;  // of each expert
  const Velocity velocity = [&](const at::Tensor& x, const SamplerStep& step) {
    const AttentionObserver observer = options.observe ? options.observe(step.number) : AttentionObserver();
    const DenoiserOutput output = denoiser.evaluate(x, {step.timestep, step.full_attention, observer});
    balance[output.expert].see(output.group_histogram);
    if (const int64_t steps = step.number + 1; is_shown(options, steps))
      options.estimates.show(
          steps, PackedLatents{denoiser.with_given(x - step.time * output.velocity), denoiser.latent_shapes()}.views());
    return output.velocity;
  };
  const auto& kept = options.continuation.start;
  const SampleState start =
      share_state(ranks, kept ? *kept : SampleState{0, make_noise(requests, denoiser), {}}, models.device);
  FiniteWatch finite(sampler, models.dtype);
  Progress progress("denoise", sampler.steps, "step", start.steps);
  const at::Tensor latents = sample_from(velocity, start, sampler, [&](const SampleState& state) {
    const bool told = ranks.any(interrupted());  // before the host waits for a device, so that a hung rank is noticed
    finite.see(state);
    progress.advance();
    if (options.continuation.on_step) options.continuation.on_step(state);
    if (told) throw Interrupted();
    if (ranks.size() == 1) stop_if_interrupted();
  });
  finite.check_last();
  leave_together(ranks, models.device);
  for (const GroupBalance& expert : balance)
    if (const std::string line = expert.text(); !line.empty()) log_info(line);
  return PackedLatents{denoiser.with_given(latents), denoiser.latent_shapes()}.views();
}

}  // namespace moga
