// Making the models of a run, and writing them as a model folder. See train_models.h.
#include "moga/train/video/train_models.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/core/safetensors.h"
#include "moga/model/vae/names.h"
#include "moga/train/loop/random_scope.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

// Copies the weights of `source` into `target` by name.
void copy_weights(torch::nn::Module& target, const torch::nn::Module& source, const std::string& folder) {
  at::NoGradGuard no_grad;
  const auto weights = source.named_parameters();
  for (auto& item : target.named_parameters()) {
    const at::Tensor* found = weights.find(item.key());
    if (!found && item.key().find(".router.") != std::string::npos) {
      log_info(folder, ": no ", item.key(), ", it stays random");
      continue;
    }
    check(found, folder, ": no ", item.key());
    check(found->sizes() == item.value().sizes(), folder, ": ", item.key(), " has shape ", found->sizes(),
          ", the config says ", item.value().sizes());
    item.value().detach().copy_(*found);
  }
}

std::string scheduler_class(const SamplerConfig& sampler) {
  return sampler.solver == SolverKind::kEuler ? "FlowMatchEulerDiscreteScheduler" : "UniPCMultistepScheduler";
}

// diffusers' keys, so that other programs find the shift, and the complete SamplerConfig.
nlohmann::json scheduler_json(const SamplerConfig& sampler) {
  nlohmann::json scheduler = {{"_class_name", scheduler_class(sampler)}, {"num_train_timesteps", 1000}};
  if (sampler.solver == SolverKind::kEuler) {
    scheduler["shift"] = sampler.shift;
  } else {
    scheduler.update({{"prediction_type", "flow_prediction"},
                      {"use_flow_sigmas", true},
                      {"solver_order", 2},
                      {"solver_type", "bh2"},
                      {"flow_shift", sampler.shift}});
  }
  scheduler.update(nlohmann::json::parse(to_json(sampler)));
  return scheduler;
}

nlohmann::json index_json(const std::string& scheduler) {
  return {{"_class_name", "WanPipeline"},
          {"transformer", {"diffusers", "WanTransformer3DModel"}},
          {"text_encoder", {"transformers", "UMT5EncoderModel"}},
          {"tokenizer", {"transformers", "T5TokenizerFast"}},
          {"vae", {"diffusers", "AutoencoderKLWan"}},
          {"scheduler", {"diffusers", scheduler}}};
}

// A VAE as it is, or renamed when it has the original repository's names.
void copy_vae(const fs::path& from, const fs::path& to) {
  const Safetensors file(from);
  if (detect_vae_layout(file.names(), from.string()) == WeightLayout::kDiffusers)
    return fs::copy(from, to, fs::copy_options::recursive);
  const at::ScalarType dtype = file.dtype(file.names().front());
  save_vae(to, load_vae(from, at::kCPU, dtype), dtype);
}

fs::path tokenizer_file(const fs::path& path) { return fs::is_directory(path) ? path / "spiece.model" : path; }

}  // namespace

NamedTensors TrainModels::parameters() const {
  NamedTensors named = named_parameters(*transformer, "transformer.");
  for (auto& item : named_parameters(*text_encoder, "text_encoder.")) named.push_back(std::move(item));
  return named;
}

TrainModels make_models(const TrainConfig& config, at::Device device) {
  const RandomScope random(config.seed, "weights");
  TrainModels models;
  models.transformer = Transformer(config.transformer);
  models.transformer->set_recompute(config.recompute);
  models.text_encoder = TextEncoder(config.text_encoder);
  if (!config.init.empty()) {
    const fs::path init = config.init;
    copy_weights(*models.transformer, *load_transformer(init / "transformer", at::kCPU, at::kFloat), config.init);
    if (config.text_encoder_init.empty())
      copy_weights(*models.text_encoder, *load_text_encoder(init / "text_encoder", at::kCPU, at::kFloat), config.init);
  }
  if (const std::string& folder = config.text_encoder_init; !folder.empty())
    copy_weights(*models.text_encoder, *load_text_encoder(folder, at::kCPU, at::kFloat), folder);
  models.transformer->to(device, at::kFloat);
  models.text_encoder->to(device, at::kFloat);
  for (at::Tensor& weight : models.transformer->parameters()) weight.requires_grad_(true);
  for (at::Tensor& weight : models.text_encoder->parameters()) weight.requires_grad_(config.train_text_encoder);
  return models;
}

void export_model(const fs::path& folder, const TrainModels& models, const TrainConfig& config) {
  constexpr WeightLayout layout = WeightLayout::kDiffusers;
  write_folder_atomically(folder, Existing::kReplace, [&](const fs::path& temporary) {
    make_folder(temporary / "tokenizer");
    save_transformer(temporary / "transformer", models.transformer, at::kBFloat16, layout);
    save_text_encoder(temporary / "text_encoder", models.text_encoder, at::kBFloat16, layout);
    fs::copy_file(tokenizer_file(config.tokenizer), temporary / "tokenizer" / "spiece.model");
    if (!config.vae.empty()) copy_vae(config.vae, temporary / "vae");
    const SamplerConfig& sampler = config.samples.sampler;
    write_text(temporary / "scheduler" / "scheduler_config.json", scheduler_json(sampler).dump(2) + "\n");
    write_text(temporary / "model_index.json", index_json(scheduler_class(sampler)).dump(2) + "\n");
  });
}

}  // namespace moga
