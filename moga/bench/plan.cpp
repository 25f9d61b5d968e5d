// See plan.h.
#include "moga/bench/plan.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "moga/bench/format.h"
#include "moga/bench/scene.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/core/shapes_only.h"

namespace moga {
namespace {

std::string gib(int64_t bytes) { return formatted("%.2f GiB", static_cast<double>(bytes) / kGiB); }

// What one rank evaluates in a step: its half of a guided evaluation, and frames for its slice of the tokens.
DenoisingRehearsal part_of_rank(const GenerationPlanRequest& request) {
  const bool guided = request.sampler.guided() && request.guidance_ranks == 1;
  DenoisingRehearsal part{request.transformer, request.video, guided, request.sampler.solver};
  request.transformer->check_sequence_ranks(request.sequence_ranks);
  if (request.sequence_ranks == 1) return part;
  const int64_t frames = (request.video.frames + request.sequence_ranks - 1) / request.sequence_ranks;
  part.video = {frames, request.video.rows, request.video.columns, {}};
  return part;
}

// The tokens of a slice attend to the whole video: a rank's work is a part of that of the whole video, which is more
// than that of a video as short as the slice.
double work_beyond_slice(const GenerationPlanRequest& request, const DenoisingRehearsal& part) {
  if (request.sequence_ranks == 1) return 1;
  const auto flop = [&](const VideoShape& video) {
    return forward_cost(request.transformer->shape(), Layout{{video}}, part.model->attention()).total();
  };
  return flop(request.video) / static_cast<double>(request.sequence_ranks) / flop(part.video);
}

// With one kind of attention in all layers and steps.
Rehearsed rehearse_kind(const GenerationPlanRequest& request, AttentionKind kind, c10::Device device,
                        c10::ScalarType dtype) {
  DenoisingRehearsal rehearsal = part_of_rank(request);
  VisualAttentionConfig& moga = rehearsal.model->attention();
  moga.kind = kind;
  moga.full_layers.clear();
  const VideoShape video = rehearsal.video;
  const FrameSize least{moga.windows.rows, moga.windows.columns};
  const auto flop = [&](FrameSize frame) {
    ModelShape one = rehearsal.model->shape();
    one.layers = 1;
    const Layout layout{std::vector<VideoShape>(rehearsal.guided ? 2 : 1, resized(video, frame))};
    return forward_cost(one, layout, moga).total();
  };
  const double beyond_slice = work_beyond_slice(request, rehearsal);
  const FrameSize whole{video.rows, video.columns};
  Rehearsed rehearsed = over_frames(whole, rehearsal_limits(device, least), flop, [&](FrameSize frame) {
    rehearsal.video = resized(video, frame);
    rehearsal.share = static_cast<double>(frame.tokens()) / static_cast<double>(whole.tokens());
    return over_layers(request.transformer->shape().layers, [&](int64_t layers) {
      rehearsal.model->set_layers(layers);
      return rehearse_denoising(rehearsal, device, dtype);
    });
  });
  rehearsed.seconds *= beyond_slice;
  return rehearsed;
}

// The visual attention that is planned, with its exceptions.
std::string attention_text(const GenerationPlanRequest& request) {
  const VisualAttentionConfig& moga = request.transformer->attention();
  std::string text = name_of(moga.kind);
  if (moga.uses_router())
    text += ", " + std::to_string(moga.groups) + " groups evenly filled, combined by " + name_of(moga.combine);
  if (moga.kind == AttentionKind::kFull) return text;
  if (!moga.full_layers.empty()) text += ", full in " + std::to_string(moga.full_layers.size()) + " layers";
  if (request.sampler.full_steps > 0) text += ", full in " + std::to_string(request.sampler.full_steps) + " steps";
  return text;
}

struct Denoising {
  Rehearsed step;              // the larger memory of the two kinds; the weights of all experts
  double seconds;              // of all steps
  int64_t largest_expert = 0;  // bytes of its weights
};

// The same request for each expert alone, with the steps that it computes and its guidance; experts without steps are
// left out.
std::vector<GenerationPlanRequest> experts_of(const GenerationPlanRequest& request) {
  if (!request.transformer_2) return {request};
  int64_t high = 0;
  for (const double timestep : model_timesteps(request.sampler)) high += timestep >= 1000.0 * request.boundary_ratio;
  std::vector<GenerationPlanRequest> experts;
  for (const bool second : {false, true}) {
    GenerationPlanRequest own = request;
    SamplerConfig& sampler = own.sampler;
    sampler.steps = second ? request.sampler.steps - high : high;
    if (sampler.steps == 0) continue;
    sampler.full_steps = std::clamp<int64_t>(request.sampler.full_steps - (second ? high : 0), 0, sampler.steps);
    if (second) own.transformer = request.transformer_2;
    sampler.guidance = second ? request.sampler.low_noise_guidance() : request.sampler.guidance;
    sampler.guidance_2.reset();
    experts.push_back(std::move(own));
  }
  return experts;
}

Denoising plan_expert(const GenerationPlanRequest& request, c10::Device device, c10::ScalarType dtype) {
  const VisualAttentionConfig& moga = request.transformer->attention();
  const double steps = static_cast<double>(request.sampler.steps);
  log_info("rehearsing denoising");
  Rehearsed step = rehearse_kind(request, moga.kind, device, dtype);
  const double layers = static_cast<double>(request.transformer->shape().layers);
  const double full_layers = static_cast<double>(moga.full_layers.size());
  const double full_steps = static_cast<double>(std::min(request.sampler.full_steps, request.sampler.steps));
  if (moga.kind == AttentionKind::kFull || full_layers + full_steps == 0) return {step, steps * step.seconds};
  const Rehearsed full = rehearse_kind(request, AttentionKind::kFull, device, dtype);
  step.work_bytes = std::max(step.work_bytes, full.work_bytes);
  const double mixed = step.seconds + (full.seconds - step.seconds) * full_layers / layers;
  return {step, full_steps * full.seconds + (steps - full_steps) * mixed};
}

// One after the other: their weights add up, and so does their time.
Denoising both(const Denoising& first, const Denoising& second) {
  return {{.weight_bytes = first.step.weight_bytes + second.step.weight_bytes,
           .work_bytes = std::max(first.step.work_bytes, second.step.work_bytes),
           .seconds = std::max(first.step.seconds, second.step.seconds)},
          first.seconds + second.seconds,
          std::max(first.step.weight_bytes, second.step.weight_bytes)};
}

Denoising plan_denoising(const GenerationPlanRequest& request, c10::Device device, c10::ScalarType dtype) {
  const std::vector<GenerationPlanRequest> experts = experts_of(request);
  const Denoising first = plan_expert(experts.front(), device, dtype);
  return experts.size() > 1 ? both(first, plan_expert(experts.back(), device, dtype)) : first;
}

// The same run with streamed blocks: two buffers instead of all weights, and no step shorter than copying takes. Both
// are measured on a video so small that copying takes all the time.
Denoising streamed(Denoising run, const GenerationPlanRequest& request, c10::Device device, c10::ScalarType dtype) {
  log_info("rehearsing streamed weights");
  DenoisingRehearsal rehearsal{request.transformer, {}, /*guided=*/false, request.sampler.solver};
  rehearsal.stream_weights = true;
  const WindowConfig& windows = request.transformer->attention().windows;
  rehearsal.video = {1, windows.rows, windows.columns, {}};
  const Rehearsed copying = over_streamed_layers(request.transformer->shape().layers, [&](int64_t layers) {
    rehearsal.model->set_layers(layers);
    rehearsal.model->attention().full_layers.clear();
    return rehearse_denoising(rehearsal, device, dtype);
  });
  run.step.weight_bytes = (request.transformer_2 ? 2 : 1) * copying.weight_bytes;
  run.seconds = std::max(run.seconds, static_cast<double>(request.sampler.steps) * copying.seconds);
  return run;
}

Rehearsed plan_text(const GenerationPlanRequest& request, c10::Device device, c10::ScalarType dtype) {
  log_info("rehearsing the text encoder");
  TextEncoderConfig config = request.text_encoder;
  config.vocab_size = std::min<int64_t>(config.vocab_size, 64);
  const int64_t rehearsed = device.is_cuda() ? request.captions : 1;  // one caption takes UMT5-XXL seconds on a CPU
  Rehearsed text = over_layers(config.num_layers, [&](int64_t layers) {
    TextEncoderConfig some = config;
    some.num_layers = layers;
    return rehearse_text(some, rehearsed, request.transformer->conditioning().text_tokens, device, dtype);
  });
  text.work_bytes = text.work_bytes / rehearsed * request.captions;
  text.seconds = text.seconds / static_cast<double>(rehearsed) * static_cast<double>(request.captions);
  const int64_t missing = (request.text_encoder.vocab_size - config.vocab_size) * config.d_model;
  text.weight_bytes += missing * static_cast<int64_t>(c10::elementSize(dtype));
  return text;
}

Rehearsed plan_decoding(const GenerationPlanRequest& request, c10::Device device) {
  log_info("rehearsing decoding");
  const Strides patch = request.transformer->patch();
  const auto latents = [&](FrameSize tokens) {
    return FrameSize{tokens.rows * patch.rows, tokens.columns * patch.columns};
  };
  const auto flop = [&](FrameSize frame) {
    return request.vae->decode_flop(static_cast<double>(latents(frame).tokens()));
  };
  const FrameSize whole{request.video.rows, request.video.columns};
  return over_frames(whole, rehearsal_limits(device, {2, 2}), flop, [&](FrameSize frame) {
    return rehearse_decoding(*request.vae, latents(frame), device, request.vae_dtype);
  });
}

int64_t image_encoder_bytes(const GenerationPlanRequest& request) {
  if (!request.image_encoder) return 0;
  const ShapesOnly shapes_only;
  int64_t bytes = 0;
  for (const at::Tensor& parameter : ImageEncoder(*request.image_encoder)->parameters())
    bytes += static_cast<int64_t>(parameter.nbytes());
  return bytes;
}

// Latent frames of the clip that shows images.
int64_t image_frames(const GenerationPlanRequest& request) {
  return request.transformer->conditioning().channels > 0 ? request.video.frames : request.image_frames;
}

// The images' clip through the codec's encoder, by its cost next to decoding's.
PlanPhase images_phase(const GenerationPlanRequest& request, int64_t weight_bytes, const Rehearsed& decoding) {
  const Strides patch = request.transformer->patch();
  const double latents = static_cast<double>(request.video.frame_tokens() * patch.rows * patch.columns);
  const double cost = request.vae->encode_flop(latents) / request.vae->decode_flop(latents);
  return {"images", weight_bytes + decoding.work_bytes,
          static_cast<double>(image_frames(request)) * decoding.seconds * cost};
}

// Each model is released after its stage (generate.h).
void fill(Plan& plan, const GenerationPlanRequest& request, const Rehearsed& text, const Denoising& denoising,
          const Rehearsed& decoding) {
  const Rehearsed& step = denoising.step;
  // Experts that rest on the host are woken by the first step.
  const int64_t before_steps =
      decoding.weight_bytes + image_encoder_bytes(request) + (plan.rest_experts ? 0 : step.weight_bytes);
  plan.weight_bytes = before_steps + text.weight_bytes + (plan.rest_experts ? step.weight_bytes : 0);
  plan.phases = {{"text", before_steps + text.weight_bytes + text.work_bytes, text.seconds}};
  if (image_frames(request) > 0) plan.phases.push_back(images_phase(request, before_steps, decoding));
  plan.phases.push_back({"denoise", step.weight_bytes + decoding.weight_bytes + step.work_bytes, denoising.seconds});
  plan.phases.push_back({"decode", decoding.weight_bytes + decoding.work_bytes,
                         static_cast<double>(request.video.frames) * decoding.seconds});
}

// `denoising`: memory of the work itself, in addition to the weights that are then still loaded.
std::vector<std::string> advise(const GenerationPlanRequest& request, const Plan& plan, const Rehearsed& denoising,
                                c10::ScalarType dtype) {
  const int64_t left = plan.usable_bytes() - denoising.weight_bytes;
  if (left <= 0 || plan.usable_bytes() < plan.phases.front().peak_bytes)
    return {dtype == c10::kFloat && plan.weight_bytes / 2 < plan.usable_bytes()
                ? "perhaps --dtype bfloat16, whose weights are half as large"
                : "more memory than the weights alone need, " + gib(plan.weight_bytes)};
  const Strides pixels = request.pixels_per_token();
  std::vector<std::string> advice;
  const double share = static_cast<double>(left) / static_cast<double>(denoising.work_bytes);
  if (share >= 1) return {"smaller frames: decoding is the phase that does not fit"};
  if (request.sampler.guided() && share >= 0.5) advice.push_back("--guidance 1 halves the tokens of a step");
  const int64_t frames = static_cast<int64_t>(share * static_cast<double>(request.video.frames));
  if (frames >= 1)
    advice.push_back(formatted("up to %.1f s at this size",
                               static_cast<double>(pixels.pixel_frames(frames)) / static_cast<double>(request.fps)));
  const double side = std::sqrt(share);
  const auto shrunk = [side](int64_t tokens, int64_t stride) {
    return static_cast<long long>(std::floor(side * static_cast<double>(tokens))) * stride;
  };
  if (const long long width = shrunk(request.video.columns, pixels.columns),
      height = shrunk(request.video.rows, pixels.rows);
      width * height > 0)
    advice.push_back(formatted("frames up to %lldx%lld at this duration", width, height));
  return advice;
}

}  // namespace

int64_t Plan::peak_bytes() const {
  int64_t peak = 0;
  for (const PlanPhase& phase : phases) peak = std::max(peak, phase.peak_bytes);
  return peak;
}

double Plan::seconds() const {
  double sum = 0;
  for (const PlanPhase& phase : phases) sum += phase.seconds;
  return sum;
}

Plan plan_generation(const GenerationPlanRequest& request, c10::Device device, c10::ScalarType dtype) {
  request.transformer->validate();
  if (request.transformer_2) request.transformer_2->validate();
  request.vae->validate();
  request.sampler.validate();
  request.video.validate();
  const StopInside stop_inside;
  const RandomState unchanged(device);
  release_cached_memory(device);
  Plan plan;
  plan.memory = device_memory(device);
  plan.attention = attention_text(request);
  const auto streaming = request.stream_weights;
  const Rehearsed text = plan_text(request, device, dtype), decoding = plan_decoding(request, device);
  Denoising denoising = plan_denoising(request, device, dtype);
  fill(plan, request, text, denoising, decoding);
  if (request.transformer_2 && device.is_cuda() && !plan.fits() && streaming != StreamWeights::always) {
    denoising.step.weight_bytes = denoising.largest_expert;
    plan.rest_experts = true;
    fill(plan, request, text, denoising, decoding);
  }
  const bool helps = streaming == StreamWeights::automatic && device.is_cuda() && !plan.fits();
  if (helps || streaming == StreamWeights::always) {
    denoising = streamed(denoising, request, device, dtype);
    plan.rest_experts = false;
    fill(plan, request, text, denoising, decoding);
    plan.stream_weights = true;
  }
  denoising.step.weight_bytes += decoding.weight_bytes;
  if (!plan.fits()) plan.advice = advise(request, plan, denoising.step, dtype);
  release_cached_memory(device);
  return plan;
}

std::string to_table(const Plan& plan) {
  std::string text = formatted("%-10s %10s %10s\n", "phase", "peak GiB", "seconds");
  const auto row = [&](const std::string& name, int64_t bytes, double seconds) {
    text += formatted("%-10s %10.2f %10.1f\n", name.c_str(), static_cast<double>(bytes) / kGiB, seconds);
  };
  for (const PlanPhase& phase : plan.phases) row(phase.name, phase.peak_bytes, phase.seconds);
  row("all", plan.peak_bytes(), plan.seconds());
  const char* place = plan.stream_weights ? ", blocks streamed from the host"
                      : plan.rest_experts ? ", one expert on the host"
                                          : "";
  text += "weights " + gib(plan.weight_bytes) + place + "; free " + gib(plan.memory.free) + " of " +
          gib(plan.memory.total) + (plan.fits() ? ": it fits\n" : ": it does not fit\n");
  if (!plan.attention.empty()) text += "attention: " + plan.attention + "\n";
  if (plan.recompute) text += "recomputation of blocks: " + describe(*plan.recompute) + "\n";
  if (plan.shard) text += std::string("sharded over the ranks: ") + name_of(*plan.shard) + "; bytes are one rank's\n";
  for (const std::string& advice : plan.advice) text += "  " + advice + "\n";
  return text;
}

std::string to_json_text(const Plan& plan) {
  nlohmann::ordered_json json = {{"peak_bytes", plan.peak_bytes()},
                                 {"seconds", plan.seconds()},
                                 {"weight_bytes", plan.weight_bytes},
                                 {"stream_weights", plan.stream_weights},
                                 {"rest_experts", plan.rest_experts},
                                 {"attention", plan.attention},
                                 {"free_bytes", plan.memory.free},
                                 {"fits", plan.fits()},
                                 {"advice", plan.advice}};
  if (plan.recompute)
    json["recompute"] = {{"mode", name_of(plan.recompute->mode)}, {"offload_inputs", plan.recompute->offload_inputs}};
  if (plan.shard) json["shard"] = name_of(*plan.shard);
  for (const PlanPhase& phase : plan.phases)
    json["phases"].push_back({{"name", phase.name}, {"peak_bytes", phase.peak_bytes}, {"seconds", phase.seconds}});
  return json.dump(2) + "\n";
}

void check_fits(const Plan& plan) {
  if (plan.fits()) return;
  std::string advice;
  for (const std::string& item : plan.advice) advice += (advice.empty() ? "; would fit: " : ", or ") + item;
  fail("this run needs ", gib(plan.peak_bytes()), ", including ", gib(plan.weight_bytes),
       " of weights; free: ", gib(plan.memory.free), advice);
}

}  // namespace moga
