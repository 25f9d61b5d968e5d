// See inspect.h. A noised film is evaluated with its captions alone, once per timestep; a generation is the usual one.
#include "moga/pipeline/inspect.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/core/random.h"
#include "moga/data/story/render.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/model/denoiser.h"
#include "moga/pipeline/generate.h"
#include "moga/pipeline/images.h"
#include "moga/pipeline/noise.h"
#include "moga/pipeline/script_request.h"
#include "moga/pipeline/story_files.h"

namespace moga {
namespace {

constexpr int64_t kWidestPicture = 448;  // pixels of a frame in the page

// The configs of both experts and which of them computes a timestep, of configs or of loaded models.
struct Observable {
  std::vector<const VideoModelConfig*> experts;
  double boundary = 0;  // timestep below which the second computes

  size_t expert_at(double timestep) const { return experts.size() > 1 && timestep < boundary ? 1 : 0; }
};

Observable observable(const Models& models) {
  Observable result{{}, models.boundary};
  for (const VideoModelPtr& expert : models.experts()) result.experts.push_back(&expert->config());
  return result;
}

Observable observable(const ModelConfigs& models) {
  Observable result{{&*models.transformer}, 1000.0 * models.boundary_ratio};
  if (models.transformer_2) result.experts.push_back(&*models.transformer_2);
  return result;
}

// Sampler steps with routing: the first full_steps have full attention.
std::vector<ObservedStep> sampler_steps(const Observable& models, const InspectConfig& config) {
  const SamplerConfig& sampler = config.sampler;
  const std::vector<double> timesteps = model_timesteps(sampler);
  std::vector<int64_t> numbers = config.at_steps;
  if (numbers.empty()) {
    const int64_t routed = sampler.steps - sampler.full_steps, count = std::min(kDefaultInspectedSteps, routed);
    for (int64_t i = 0; i < count; ++i) numbers.push_back(sampler.full_steps + (2 * i + 1) * routed / (2 * count) + 1);
  }
  std::ranges::sort(numbers);
  std::vector<ObservedStep> steps;
  for (const int64_t number : numbers) {
    check(number >= 1 && number <= sampler.steps, "inspect: step ", number,
          " was asked for, the sampler has steps 1 to ", sampler.steps);
    check(number > sampler.full_steps, "inspect: step ", number, " has no routing, the first ", sampler.full_steps,
          " steps run full attention");
    if (!steps.empty() && steps.back().number == number) continue;
    const double timestep = timesteps[static_cast<size_t>(number - 1)];
    steps.push_back({number, timestep, models.expert_at(timestep)});
  }
  check(!steps.empty(), "inspect: all ", sampler.steps, " steps run full attention, so there is no routing");
  return steps;
}

// Falling timesteps, as a generation visits them.
std::vector<ObservedStep> noised_steps(const Observable& models, const InspectConfig& config) {
  std::vector<double> timesteps = config.timesteps;
  if (timesteps.empty()) timesteps.assign(kDefaultTimesteps.begin(), kDefaultTimesteps.end());
  std::ranges::sort(timesteps, std::greater());
  timesteps.erase(std::unique(timesteps.begin(), timesteps.end()), timesteps.end());
  std::vector<ObservedStep> steps;
  for (const double timestep : timesteps)
    steps.push_back({static_cast<int64_t>(steps.size()) + 1, timestep, models.expert_at(timestep)});
  return steps;
}

// Layers that have a router in an expert that is observed.
std::vector<int64_t> observed_layers(const Observable& models, const InspectConfig& config,
                                     const std::vector<ObservedStep>& steps) {
  std::set<int64_t> routed;
  for (const ObservedStep& step : steps)
    for (const int64_t layer : routed_layers(*models.experts[step.expert])) routed.insert(layer);
  check(!routed.empty(), "inspect: the model has no routers: it runs full attention or routed = false; ",
        "`moga calibrate` computes routers");
  if (config.layers.empty()) return {routed.begin(), routed.end()};
  const std::set<int64_t> layers(config.layers.begin(), config.layers.end());
  const int64_t all = models.experts.front()->shape().layers;
  for (const int64_t layer : layers) {
    check(layer >= 0 && layer < all, "inspect: layer ", layer, " was asked for, the model has layers 0 to ", all - 1);
    check(routed.contains(layer), "inspect: layer ", layer, " has no router, it runs full attention");
  }
  return {layers.begin(), layers.end()};
}

// Everything that is known before the model runs.
Inspection prepare(const Models& models, const VideoRequest& request, const InspectConfig& config,
                   const std::vector<ObservedStep>& steps) {
  Inspection inspection;
  inspection.video = request.shape;
  const Strides pixels = models.pixels_per_token();
  inspection.size = {request.shape.columns * pixels.columns, request.shape.rows * pixels.rows};
  inspection.captions = request.captions;
  inspection.steps = steps;
  inspection.layers = observed_layers(observable(models), config, steps);
  for (const VideoModelPtr& expert : models.experts()) inspection.attention.push_back(expert->config().attention());
  const auto maps = static_cast<int64_t>(inspection.layers.size() * steps.size());
  inspection.frames = map_frames(request.shape, maps, config.map_tokens);
  if (const auto kept = static_cast<int64_t>(inspection.frames.size()); kept < request.shape.frames)
    log_info("inspect: maps of ", kept, " of ", request.shape.frames, " latent frames are kept, as all would have ",
             maps * request.shape.tokens(), " tokens, more than ", config.map_tokens,
             "; fewer layers or steps leave room for more. Numbers count all tokens");
  return inspection;
}

// Pictures of the kept latent frames, from a film that arrives in pieces.
class Pictures {
 public:
  Pictures(Inspection& inspection, const Strides& codec) : inspection_(inspection) {
    for (const int64_t frame : inspection.frames)  // the middle of the pixel frames of a latent frame
      wanted_.push_back(frame == 0 ? 0 : codec.pixel_frames(frame) + codec.frames / 2);
  }
  void add(const at::Tensor& frames) {  // uint8 [T, 3, Y, X]
    for (; next_ < wanted_.size() && wanted_[next_] < seen_ + frames.size(0); ++next_)
      inspection_.pictures.push_back(shrunk_image(frames[wanted_[next_] - seen_].cpu(), kWidestPicture));
    seen_ += frames.size(0);
  }

 private:
  Inspection& inspection_;
  std::vector<int64_t> wanted_;  // pixel frames
  size_t next_ = 0;
  int64_t seen_ = 0;
};

RoutingRecorderConfig recorder_config(const Inspection& inspection) {
  return {
      .video = inspection.video, .layers = inspection.layers, .steps = inspection.steps, .frames = inspection.frames};
}

StepObserver observe_steps(RoutingRecorder& recorder) {
  return [&recorder](int64_t step) {  // from 0
    const auto& steps = recorder.steps();
    const auto found = std::ranges::find(steps, step + 1, &ObservedStep::number);
    return found == steps.end() ? AttentionObserver() : recorder.observer(found - steps.begin());
  };
}

// Evaluates the model once per step on (1 − t) x_0 + t ε. x0 [z, F, Y', X'] on the models' device. `unguided`: the
// sampler that `conditions` are of.
void evaluate_noised(const Models& models, const VideoRequest& request, const Conditions& conditions,
                     const SamplerConfig& unguided, const at::Tensor& x0, RoutingRecorder& recorder) {
  const at::NoGradGuard no_grad;
  const StopInside stop_inside;
  DenoiserInput input{.videos = {request.shape},
                      .text = conditions.text,
                      .condition = conditions.images,
                      .image = conditions.image_tokens,
                      .dtype = models.dtype,
                      .text_lengths = prompt_lengths(models, {request}, unguided)};
  if (models.transformer_2) input.low_noise = LowNoiseExpert{models.transformer_2.get(), models.boundary, 1.0};
  const Denoiser denoiser(*models.transformer, input);
  const at::Tensor noise = noise_of(request, x0.sizes()).to(x0.device());
  Progress progress("evaluate", static_cast<int64_t>(recorder.steps().size()), "timestep");
  for (size_t i = 0; i < recorder.steps().size(); ++i) {
    stop_if_interrupted();
    const double timestep = recorder.steps()[i].timestep;
    denoiser.evaluate(at::lerp(x0, noise, timestep / 1000).flatten(), {timestep, false, recorder.observer(i)});
    progress.advance();
  }
}

// A film that is given: encoded, noised, evaluated. `listener` may be empty.
Inspection inspect_noised(const at::Tensor& frames, const VideoRequest& request, Models& own,
                          const InspectConfig& config, const RoutingListener& listener) {
  const at::NoGradGuard no_grad;
  config.validate();
  Inspection inspection = prepare(own, request, config, noised_steps(observable(own), config));
  Pictures(inspection, own.vae->config().strides()).add(frames);
  SamplerConfig unguided = own.sampler;
  unguided.guidance = 1;
  unguided.guidance_2.reset();
  const Conditions conditions = encode_conditions(own, {request}, unguided);
  own.text_encoder = nullptr;
  own.image_encoder = nullptr;
  log_info("inspect: encoding ", frames.size(0), " frames");
  const at::Tensor x0 = own.vae->encode(to_float(frames).unsqueeze(0))[0].to(own.device, at::kFloat);
  RoutingRecorderConfig recording = recorder_config(inspection);
  recording.listener = listener;
  RoutingRecorder recorder(own.experts(), recording);
  evaluate_noised(own, request, conditions, unguided, x0, recorder);
  inspection.records = recorder.records();
  return inspection;
}

// Groups compared with a story's masks.
class MaskComparison {
 public:
  MaskComparison(std::vector<StoryMask> masks, uint64_t seed) : masks_(std::move(masks)), seed_(seed) {}

  Overlaps compare(const RoutingRecord& record, const at::Tensor& x, const at::Tensor& group) const {
    const auto groups = static_cast<int64_t>(record.numbers.shot_counts.front().size());
    const auto number = static_cast<uint64_t>(record.layer);
    Router untrained(x.size(1), groups);  // as SelfAttention initialises it
    untrained->weight.copy_(0.02 * at::randn(untrained->weight.sizes(), random_stream(seed_, "random router", number)));
    untrained->to(x.device());
    const at::Tensor fresh = untrained->score(x).group;
    const at::Tensor drawn =
        at::randint(groups, group.sizes(), random_stream(seed_, "random groups", number), at::TensorOptions(at::kLong));
    Overlaps overlaps;
    for (const StoryMask& mask : masks_) {
      Overlap& sum = overlaps[mask.kind];
      ++sum.masks;
      sum.trained += best_overlap(mask.coverage, group.cpu(), groups);
      sum.untrained += best_overlap(mask.coverage, fresh.cpu(), groups);
      sum.random += best_overlap(mask.coverage, drawn, groups);
    }
    for (auto& [kind, sum] : overlaps)
      for (double Overlap::*value : {&Overlap::trained, &Overlap::untrained, &Overlap::random})
        sum.*value /= static_cast<double>(sum.masks);
    return overlaps;
  }

 private:
  std::vector<StoryMask> masks_;
  uint64_t seed_;
};

}  // namespace

void InspectConfig::validate() const {
  check(map_tokens >= 1, "map_tokens = ", map_tokens, ", expected 1 or more");
  for (const double timestep : timesteps)
    check(timestep > 0 && timestep <= 1000, "inspect: timestep ", timestep, ", expected above 0 and up to 1000");
  sampler.validate();
}

const RoutingRecord* Inspection::record(size_t step, int64_t layer) const {
  const auto found = std::ranges::find_if(
      records, [&](const RoutingRecord& record) { return record.step == step && record.layer == layer; });
  return found == records.end() ? nullptr : &*found;
}

std::vector<int64_t> map_frames(const VideoShape& video, int64_t layers_and_steps, int64_t most) {
  const auto every = [&](int64_t stride) {
    std::vector<int64_t> frames;
    for (int64_t shot = 0; shot < video.shots(); ++shot)
      for (int64_t frame = video.begin_of_shot(shot); frame < video.begin_of_shot(shot + 1); frame += stride)
        frames.push_back(frame);
    return frames;
  };
  for (int64_t stride = 1; stride <= video.frames; ++stride)
    if (const auto frames = every(stride);
        static_cast<int64_t>(frames.size()) * video.frame_tokens() * layers_and_steps <= most)
      return frames;
  fail("inspect: maps of one latent frame per shot have ", video.shots() * video.frame_tokens() * layers_and_steps,
       " tokens over all layers and steps, expected at most ", most, "; choose fewer layers or steps");
}

void check_inspection(const ModelConfigs& models, const InspectConfig& config, bool noised) {
  config.validate();
  const Observable own = observable(models);
  observed_layers(own, config, noised ? noised_steps(own, config) : sampler_steps(own, config));
}

Inspection inspect_script(const Script& script, Models&& models, const InspectConfig& config) {
  Models own = std::move(models);
  config.validate();
  script.validate(own.pixels_per_token());
  const VideoRequest request = script_request(script, own);
  Inspection inspection = prepare(own, request, config, sampler_steps(observable(own), config));
  inspection.title = script.title;
  inspection.fps = static_cast<double>(script.fps);
  std::ostringstream source;
  source << "generated in " << config.sampler.steps << " steps with seed " << script.seed;
  inspection.source = source.str();
  Conditions conditions = encode_conditions(own, {request}, config.sampler);
  own.text_encoder = nullptr;
  own.image_encoder = nullptr;
  RoutingRecorder recorder(own.experts(), recorder_config(inspection));
  const at::Tensor latent =
      denoise(own, {request}, conditions, {.sampler = config.sampler, .observe = observe_steps(recorder)}).front();
  inspection.records = recorder.records();
  own.transformer = own.transformer_2 = nullptr;
  Pictures pictures(inspection, own.vae->config().strides());
  decode_frames(*own.vae, latent, [&](const at::Tensor& frames) { pictures.add(frames); });
  return inspection;
}

Inspection inspect_story(const Story& story, Models&& models, const InspectConfig& config) {
  Models own = std::move(models);
  check_story_codec(own.vae->config().strides());
  const RenderedStory drawn = render_story(story, at::kCPU, /*with_parts=*/true);
  const MaskComparison masks(story_masks(story, drawn.parts, own.pixels_per_token()), story.seed);
  std::vector<Overlaps> overlaps;
  const RoutingListener listener = [&](const RoutingRecord& record, const at::Tensor& x, const at::Tensor& group) {
    overlaps.push_back(masks.compare(record, x, group));
  };
  Inspection inspection = inspect_noised(drawn.frames, script_request(story_script(story), own), own, config, listener);
  inspection.title = "Story " + std::to_string(story.seed);
  inspection.fps = static_cast<double>(kStoryFps);
  inspection.source = "drawn story " + std::to_string(story.seed) + ", encoded and noised";
  inspection.overlaps = std::move(overlaps);
  return inspection;
}

Inspection inspect_frames(const at::Tensor& frames, const Script& script, Models&& models,
                          const InspectConfig& config) {
  Models own = std::move(models);
  const VideoRequest request = script_request(script, own);
  const int64_t expected = own.pixels_per_token().pixel_frames(request.shape.frames);
  check(frames.dim() == 4 && frames.size(0) == expected && frames.size(2) == script.size[1] &&
            frames.size(3) == script.size[0],
        "inspect: frames ", frames.sizes(), ", expected [", expected, ", 3, ", script.size[1], ", ", script.size[0],
        "]");
  Inspection inspection = inspect_noised(frames, request, own, config, {});
  inspection.title = script.title;
  inspection.fps = static_cast<double>(script.fps);
  inspection.source = "a given film, encoded and noised";
  return inspection;
}

}  // namespace moga
