// See resume.h. The file's metadata holds the number of steps taken and the run's identity as JSON.
#include "moga/pipeline/resume.h"

#include <ATen/ATen.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/json_text.h"
#include "moga/core/log.h"
#include "moga/core/safetensors.h"

namespace moga {
namespace {

constexpr int64_t kSamplesOfAWeight = 32;

// FNV-1a.
class Fingerprint {
 public:
  void add(const void* data, size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    for (size_t i = 0; i < size; ++i) hash_ = (hash_ ^ bytes[i]) * 0x100000001b3;
  }
  void add(const at::Tensor& values) {
    const at::Tensor host = values.to(at::kCPU, at::kDouble).contiguous();
    add(host.const_data_ptr(), host.nbytes());
  }
  // Names, shapes and evenly spaced values: another training run changes all of them, and 28 GB need not be read.
  void add(const torch::nn::Module& module) {
    for (const auto& item : module.named_parameters()) {
      add(item.key().data(), item.key().size());
      add(item.value().sizes().data(), item.value().dim() * sizeof(int64_t));
      const at::Tensor flat = item.value().detach().flatten();
      add(flat.slice(0, 0, flat.numel(), std::max<int64_t>(1, flat.numel() / kSamplesOfAWeight)));
    }
  }
  std::string text() const {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016lx", static_cast<unsigned long>(hash_));
    return digits;
  }

 private:
  uint64_t hash_ = 0xcbf29ce484222325;
};

template <class Config>
nlohmann::json as_json(const Config& config) {
  return nlohmann::json::parse(to_json(config));
}

int64_t steps_in(const Safetensors& file) {
  const auto metadata = file.metadata();
  const auto found = metadata.find("steps");
  int64_t steps = -1;
  if (found != metadata.end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), steps);
  check(steps >= 0 && metadata.contains("run") && file.contains("x"), file.source(), ": not the state of a generation");
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

SampleState load_state(const Safetensors& file) {
  SampleState state{steps_in(file), file.load("x"), {}};
  for (size_t i = 0; file.contains("solver." + std::to_string(i)); ++i)
    state.solver.push_back(file.load("solver." + std::to_string(i)));
  return state;
}

}  // namespace

std::filesystem::path state_path(const std::filesystem::path& video) { return video.string() + ".resume"; }

void check_nothing_kept(const KeepConfig& config) {
  if (config.resume || config.path.empty() || !std::filesystem::exists(config.path)) return;
  const int64_t steps = steps_in(Safetensors(config.path));
  fail(config.path.string(), ": ", steps, steps == 1 ? " step" : " steps",
       " of a run that did not end; go on with --resume, or remove the file");
}

nlohmann::json generation_identity(const Models& models, const VideoRequest& request, const SamplerConfig& sampler) {
  const VideoShape& shape = request.shape;
  Fingerprint weights, noise;
  weights.add(*models.text_encoder);
  weights.add(*models.transformer);
  weights.add(*models.vae);
  if (request.noise.defined()) noise.add(request.noise);
  nlohmann::json script = {{"captions", request.captions}, {"negative_prompt", request.negative_prompt},
                           {"seed", request.seed},         {"latent_frames", shape.frames},
                           {"rows", shape.rows},           {"columns", shape.columns},
                           {"shots", shape.shot_frames}};
  if (request.noise.defined()) script["noise"] = noise.text();
  return {{"script", script},
          {"sampler", as_json(sampler)},
          {"attention", as_json(models.transformer->config().attention())},
          {"weights", weights.text()},
          {"dtype", dtype_name(models.dtype)}};
}

KeptState::KeptState(const KeepConfig& config, const Models& models, const VideoRequest& request,
                     const SamplerConfig& sampler)
    : config_(config), steps_(sampler.steps), written_(std::chrono::steady_clock::now()) {
  if (config.path.empty()) return;
  check_nothing_kept(config);
  run_ = std::make_shared<nlohmann::json>(generation_identity(models, request, sampler));
  if (!config.resume) return;
  if (!std::filesystem::exists(config.path)) {
    log_info(config.path.string(), ": nothing kept; beginning at the first step");
    return;
  }
  const Safetensors file(config.path);
  start_ = load_state(file);
  check_same_run(parse_json_object(file.metadata().at("run"), file.source()), *run_, file.source());
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
             "; --resume goes on from there");
}

void KeptState::write(const SampleState& state) {
  TensorMap tensors = {{"x", state.x}};
  for (size_t i = 0; i < state.solver.size(); ++i) tensors["solver." + std::to_string(i)] = state.solver[i];
  save_safetensors(config_.path, tensors, {{"steps", std::to_string(state.steps)}, {"run", run_->dump()}});
  written_ = std::chrono::steady_clock::now();
  kept_steps_ = state.steps;
}

void remove_kept(const KeepConfig& config) {
  std::error_code ignored;
  if (!config.path.empty()) std::filesystem::remove(config.path, ignored);
}

}  // namespace moga
