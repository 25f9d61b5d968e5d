// The sampler sees one flat tensor x that holds the latents of all videos, one after the other; the transformer sees
// the latents. pack and unpack lie between the two. Guidance: moga/sampler/solver.h.
#include "moga/pipeline/denoise.h"

#include <ATen/ATen.h>

#include <map>
#include <sstream>

#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/core/random.h"
#include "moga/model/text/captions.h"
#include "moga/pipeline/group_balance.h"

namespace moga {
namespace {

// What belongs to one time of the schedule.
struct Step {
  int64_t number;
  double timestep;  // what the transformer is told
  bool full_attention;
};

// The part of the transformer's input that stays the same through all steps.
struct Batch {
  std::vector<std::vector<int64_t>> latent_shapes;  // one a video of the layout
  Layout layout;
  at::Tensor text;               // [S_total, text_len, text_dim]
  std::map<double, Step> steps;  // by their times
  StepObserver observe;
  GroupBalance* balance = nullptr;
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

std::map<double, Step> steps_of(const SamplerConfig& sampler) {
  const std::vector<double> times = flow_schedule(sampler), timesteps = model_timesteps(sampler);
  std::map<double, Step> steps;
  for (int64_t i = 0; i < sampler.steps; ++i) steps[times[i]] = {i, timesteps[i], i < sampler.full_steps};
  return steps;
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
  const Step& step = batch.steps.at(t);
  TransformerInput input;
  input.latents = unpack(x, batch.latent_shapes);
  input.timestep = at::full({static_cast<int64_t>(input.latents.size())}, step.timestep, x.options());
  input.text = batch.text;
  input.layout = batch.layout;
  input.full_attention = step.full_attention;
  if (batch.observe) input.observer = batch.observe(step.number);
  TransformerOutput output = models.transformer->forward(input, models.dtype);
  batch.balance->see(output.group_histogram);
  return output.velocity;
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

// Throws soon after the step that made x NaN or infinite. What a step gave is read while the next is under way, so that
// the device never waits for the host.
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

SampleState beginning(const Models& models, const std::vector<VideoRequest>& requests, const Batch& batch) {
  return {0, make_noise(models, requests, batch), {}};
}

SampleState to_device(SampleState state, at::Device device) {
  state.x = state.x.to(device);
  for (at::Tensor& tensor : state.solver) tensor = tensor.to(device);
  return state;
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

void log_plan(const Models& models, const std::vector<VideoRequest>& requests, const SamplerConfig& sampler) {
  const TransformerConfig& config = models.transformer->config();
  const VisualAttentionConfig& moga = config.moga;
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
  log_info("transformer: ", config.num_layers, " blocks of width ", config.width(), ", ", attention, ", backend ",
           name_of(moga.backend), ", ", dtype_name(models.dtype), " on ", device_name(models.device));
  log_info("batch: ", batch_text(requests, sampler.guidance != 1.0), "; ", sampler.solver, ", ", sampler.steps,
           " steps, shift ", sampler.shift, ", guidance ", sampler.guidance);
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

std::vector<at::Tensor> denoise(Models& models, const std::vector<VideoRequest>& requests, const SamplerConfig& sampler,
                                const StepObserver& observe, const Continuation& continuation) {
  const at::NoGradGuard no_grad;
  const StopInside stop_inside;
  sampler.validate();
  check_requests(models, requests);
  Batch batch = make_batch(models, requests, sampler.guidance != 1.0);
  batch.steps = steps_of(sampler);
  batch.observe = observe;
  GroupBalance balance;
  batch.balance = &balance;
  if (models.one_run) models.text_encoder = nullptr;
  log_plan(models, requests, sampler);
  const SampleState start = continuation.start ? to_device(*continuation.start, models.device)
                                               : beginning(models, requests, batch);
  const Velocity velocity = make_velocity(models, batch, requests.size(), sampler.guidance);
  FiniteWatch finite(sampler, models.dtype);
  Progress progress("denoise", sampler.steps, "step", start.steps);
  const at::Tensor latents = sample_from(velocity, start, sampler, [&](const SampleState& state) {
    finite.see(state);
    progress.advance();
    if (continuation.on_step) continuation.on_step(state);
    stop_if_interrupted();
  });
  finite.check_last();
  if (const std::string text = balance.text(); !text.empty()) log_info(text);
  auto shapes = batch.latent_shapes;
  shapes.resize(requests.size());
  return unpack(latents, shapes);
}

}  // namespace moga
