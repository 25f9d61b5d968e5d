// See resume.h. The file is sealed by a checksum over everything (core/checksum.h); its metadata holds the number of
// steps taken and the run's identity as JSON.
#include "moga/pipeline/resume.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/checksum.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/json_text.h"
#include "moga/core/log.h"
#include "moga/model/layers/product_weight.h"

namespace moga {
namespace {

constexpr int64_t kSamplesOfAWeight = 32;

// Names, shapes and evenly spaced values: another training run changes all of them, and 28 GB need not be read.
void add_weights(Checksum& checksum, const torch::nn::Module& module) {
  for (const auto& item : module.named_parameters()) {
    checksum.add(item.key());
    checksum.add(item.value().sizes().data(), item.value().dim() * sizeof(int64_t));
    const at::Tensor flat = item.value().detach().flatten();
    const int64_t stride = std::max<int64_t>(1, flat.numel() / kSamplesOfAWeight);
    checksum.add(flat.slice(0, 0, flat.numel(), stride).to(at::kCPU, at::kDouble));
  }
  for (const auto& part : module.modules(/*include_self=*/false)) {  // what scales weights
    const auto* product = dynamic_cast<const ProductWeight*>(part.get());
    if (product && product->has_low_rank()) checksum.add(&product->lora_scale, sizeof(double));
    if (product && product->in_8_bits()) checksum.add(product->weight_scale.to(at::kCPU));
    if (product && product->multiply_8_bits) checksum.add("8-bit products");
  }
}

template <class Config>
nlohmann::json as_json(const Config& config) {
  return nlohmann::json::parse(to_json(config));
}

// The images, and the weights that encode them.
std::string images_identity(const Models& models, const VideoRequest& request) {
  Checksum checksum;
  for (const ShotImages& shot : request.images)
    for (const at::Tensor* image : {&shot.first, &shot.last}) {
      checksum.add(std::string(image->defined() ? "image" : "none"));
      if (image->defined()) checksum.add(*image);
    }
  add_weights(checksum, *models.vae);
  if (models.image_encoder) add_weights(checksum, *models.image_encoder);
  return checksum.text();
}

int64_t steps_in(const Sealed& file, const std::string& source) {
  const auto found = file.metadata.find("steps");
  int64_t steps = -1;
  if (found != file.metadata.end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), steps);
  check(steps >= 0 && file.metadata.contains("run") && file.tensors.contains("x"), source,
        ": not the state of a generation");
  return steps;
}

// "/sampler/steps" → "sampler.steps"
std::string dotted(std::string pointer) {
  std::replace(pointer.begin(), pointer.end(), '/', '.');
  return pointer.substr(1);
}

void check_same_run(const nlohmann::json& kept, const nlohmann::json& run, const std::string& source) {
  const nlohmann::json before = kept.flatten(), now = run.flatten();
  for (const auto* keys : {&now, &before})
    for (const auto& [key, unused] : keys->items()) {
      const nlohmann::json there = before.value(key, nlohmann::json()), here = now.value(key, nlohmann::json());
      check(there == here, source, ": belongs to another run: ", dotted(key), " was ", there.dump(), ", now it is ",
            here.dump(), "; give the same script, model and options, or remove the file");
    }
}

SampleState load_state(const Sealed& file, const std::string& source) {
  SampleState state{steps_in(file, source), file.tensors.at("x"), {}};
  for (size_t i = 0; file.tensors.contains("solver." + std::to_string(i)); ++i)
    state.solver.push_back(file.tensors.at("solver." + std::to_string(i)));
  return state;
}

}  // namespace

std::filesystem::path state_path(const std::filesystem::path& video) { return video.string() + ".resume"; }

void check_nothing_kept(const KeepConfig& config) {
  if (config.resume || config.path.empty() || !std::filesystem::exists(config.path)) return;
  const int64_t steps = steps_in(load_sealed(config.path), config.path.string());
  fail(config.path.string(), ": ", steps, steps == 1 ? " step" : " steps",
       " of an unfinished run; continue with --resume, or remove the file");
}

nlohmann::json generation_identity(const Models& models, const VideoRequest& request, const SamplerConfig& sampler,
                                   bool text_encoder) {
  const VideoShape& shape = request.shape;
  Checksum weights, noise;
  if (text_encoder) add_weights(weights, *models.text_encoder);
  for (const VideoModelPtr& expert : models.experts()) add_weights(weights, *expert);
  if (request.noise.defined()) noise.add(request.noise);
  nlohmann::json script = {{"captions", request.captions}, {"negative_prompt", request.negative_prompt},
                           {"seed", request.seed},         {"latent_frames", shape.frames},
                           {"rows", shape.rows},           {"columns", shape.columns},
                           {"shots", shape.shot_frames}};
  if (request.noise.defined()) script["noise"] = noise.text();
  if (request.noise_from != NoiseSource::kMoga) script["noise_from"] = name_of(request.noise_from);
  if (!request.images.empty()) script["images"] = images_identity(models, request);
  nlohmann::json identity = {{"script", script},
                             {"sampler", as_json(sampler)},
                             {"attention", as_json(models.transformer->config().attention())},
                             {"weights", weights.text()},
                             {"dtype", dtype_name(models.dtype)}};
  if (models.transformer_2) {
    identity["attention_2"] = as_json(models.transformer_2->config().attention());
    identity["boundary"] = models.boundary;
  }
  return identity;
}

KeptState::KeptState(const KeepConfig& config, const Models& models, const VideoRequest& request,
                     const SamplerConfig& sampler)
    : config_(config), steps_(sampler.steps), written_(std::chrono::steady_clock::now()) {
  if (config.path.empty()) return;
  check_nothing_kept(config);
  run_ = std::make_shared<nlohmann::json>(generation_identity(models, request, sampler));
  if (!config.resume) return;
  if (!std::filesystem::exists(config.path)) {
    log_info(config.path.string(), ": nothing kept; starting at the first step");
    return;
  }
  const Sealed file = load_sealed(config.path);
  start_ = load_state(file, config.path.string());
  check_same_run(parse_json_object(file.metadata.at("run"), config.path.string()), *run_, config.path.string());
  worth_keeping_ = true;
  kept_steps_ = start_->steps;
  log_info(config.path.string(), ": continuing after step ", start_->steps, " of ", steps_);
}

Continuation KeptState::continuation() {
  if (config_.path.empty()) return {};
  return {start_, [this](const SampleState& state) { keep(state); }};
}

bool KeptState::due() const {
  const std::chrono::duration<double> since = std::chrono::steady_clock::now() - written_;
  return since.count() >= config_.seconds;
}

void KeptState::keep(const SampleState& state) {
  last_ = state;
  const bool now = due();
  worth_keeping_ = worth_keeping_ || now;
  if (now || (worth_keeping_ && state.steps == steps_)) write(state);
}

void KeptState::keep_last() {
  if (config_.path.empty()) return;
  worth_keeping_ = worth_keeping_ || due();
  if (worth_keeping_ && last_ && last_->steps > kept_steps_) write(*last_);
  if (kept_steps_ > 0)
    log_info("kept ", kept_steps_, " of ", steps_, " steps in ", config_.path.string(),
             "; --resume continues from there");
}

void KeptState::keep_latents() {
  if (config_.path.empty() || !last_) return;
  write(*last_);
  log_info("kept the latents in ", config_.path.string(), "; --resume decodes them again");
}

void KeptState::write(const SampleState& state) {
  TensorMap tensors = {{"x", state.x}};
  for (size_t i = 0; i < state.solver.size(); ++i) tensors["solver." + std::to_string(i)] = state.solver[i];
  save_sealed(config_.path, tensors, {{"steps", std::to_string(state.steps)}, {"run", run_->dump()}});
  written_ = std::chrono::steady_clock::now();
  kept_steps_ = state.steps;
}

void remove_kept(const KeepConfig& config) {
  std::error_code ignored;
  if (!config.path.empty()) std::filesystem::remove(config.path, ignored);
}

}  // namespace moga
