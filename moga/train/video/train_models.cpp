// Making the models of a run, and writing them as a model folder. See train_models.h.
#include "moga/train/video/train_models.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/core/safetensors.h"
#include "moga/model/adapter/moga_adapter.h"
#include "moga/model/layers/kept_precision.h"
#include "moga/model/registry.h"
#include "moga/train/loop/random_scope.h"
#include "moga/train/video/image_needs.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

// The first layer of a model of images from that of a model of text alone: the channels of the condition start at
// zero, so that the model computes what the other one does.
bool widen(const std::string& name, const at::Tensor& source, at::Tensor target) {
  if (name != "patch_embedding.weight" || source.dim() != target.dim() || source.size(1) >= target.size(1))
    return false;
  target.zero_();
  target.narrow(1, 0, source.size(1)).copy_(source);
  return true;
}

// Copies the weights of `source` into `target` by name.
void copy_weights(torch::nn::Module& target, const torch::nn::Module& source, const std::string& folder) {
  at::NoGradGuard no_grad;
  const auto weights = source.named_parameters();
  for (auto& item : target.named_parameters()) {
    const at::Tensor* found = weights.find(item.key());
    if (!found && is_router(item.key())) {
      log_info(folder, ": no ", item.key(), ", it stays random");
      continue;
    }
    check(found, folder, ": no ", item.key());
    if (widen(item.key(), *found, item.value().detach())) continue;
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

nlohmann::json index_json(const VideoModelConfig& model, const std::string& scheduler, bool expand_timesteps) {
  const Conditioning wanted = model.conditioning();
  const bool images = wanted.channels > 0;
  nlohmann::json index = {
      {"_class_name", images ? image_pipeline_class(model.class_name()) : pipeline_class(model.class_name())},
      {"transformer", {"diffusers", model.class_name()}},
      {"text_encoder", {"transformers", "UMT5EncoderModel"}},
      {"tokenizer", {"transformers", "T5TokenizerFast"}},
      {"vae", {"diffusers", model.codec_class()}},
      {"scheduler", {"diffusers", scheduler}}};
  if (expand_timesteps) index["expand_timesteps"] = true;
  if (images) index["image_encoder"] = index["image_processor"] = {nullptr, nullptr};
  if (wanted.image_dim > 0) {
    index["image_encoder"] = {"transformers", "CLIPVisionModel"};
    index["image_processor"] = {"transformers", "CLIPImageProcessor"};
  }
  return index;
}

// Adds {"_moga": {"size": [width, height]}} to a model_index.json.
void add_size(const fs::path& index, const std::vector<int64_t>& size) {
  nlohmann::json json = nlohmann::json::parse(read_text(index));
  json["_moga"]["size"] = size;
  write_text(index, json.dump(2) + "\n");
}

// Copies a VAE, renaming tensors that have the original repository's names.
void copy_vae(const fs::path& from, const fs::path& to) {
  if (codec_layout(from) == WeightLayout::kDiffusers) return fs::copy(from, to, fs::copy_options::recursive);
  const Safetensors file(from);
  const at::ScalarType dtype = file.dtype(file.names().front());
  load_codec(from, at::kCPU, dtype)->save(to, dtype, WeightLayout::kDiffusers);
}

// Where the text encoder's weights come from; empty when it starts at random.
fs::path text_encoder_folder(const TrainConfig& config) {
  if (!config.text_encoder_init.empty()) return config.text_encoder_init;
  return config.init.empty() ? fs::path() : fs::path(config.init) / "text_encoder";
}

// A run on stored text does not load these two: they are copied where the config names them.
void copy_text_encoder(const TrainConfig& config, const fs::path& to) {
  const fs::path from = text_encoder_folder(config);
  if (fs::is_directory(from)) return fs::copy(from, to, fs::copy_options::recursive);
  log_info("the model is written without a text encoder: neither init nor text_encoder_init has one");
}

void copy_tokenizer(const TrainConfig& config, const fs::path& to) {
  fs::path from = config.tokenizer.empty() ? fs::path(config.init) / "tokenizer" : fs::path(config.tokenizer);
  if (fs::is_directory(from)) from /= "spiece.model";
  if (!fs::exists(from))
    return log_info("the model is written without a tokenizer: neither tokenizer nor init has one");
  make_folder(to);
  fs::copy_file(from, to / "spiece.model");
}

// What encodes images is not trained; a model that uses it comes from a folder that has it.
void copy_image_encoder(const TrainConfig& config, const fs::path& to) {
  if (config.transformer->conditioning().image_dim == 0) return;
  for (const char* part : {"image_encoder", "image_processor"}) {
    const fs::path from = fs::path(config.init) / part;
    if (!config.init.empty() && fs::is_directory(from))
      fs::copy(from, to / part, fs::copy_options::recursive);
    else
      log_info("the model is written without ", part, ": init has none");
  }
}

// All weights are trained, in float32, from those of init where there is one.
void train_all(VideoModel& model, const TrainConfig& config, at::Device device) {
  const fs::path init = config.init;
  if (!config.init.empty())
    copy_weights(model, *load_video_model(init / "transformer", {.device = at::kCPU, .dtype = at::kFloat}),
                 config.init);
  model.to(device, at::kFloat);
  for (at::Tensor& weight : model.parameters()) weight.requires_grad_(true);
}

// The model of init, frozen in the dtype in which weights are stored (8 bits where the file has them), with the
// config's attention and low-rank updates that are trained.
VideoModelPtr adapted_model(const TrainConfig& config, at::Device device) {
  const at::ScalarType dtype = config.weights == Storage::kFloat32 ? at::kFloat : at::kBFloat16;
  VideoModelPtr model =
      load_video_model(fs::path(config.init) / "transformer",
                       {.device = device,
                        .dtype = dtype,
                        .settings = attention_settings(std::as_const(*config.transformer).attention())});
  train_low_rank(*model, config.lora, device);
  return model;
}

// RUN/model of a LoRA: adapter.safetensors alone, since everything else is as in init.
void export_adapter(const fs::path& folder, const TrainModels& models, const TrainConfig& config) {
  write_folder_atomically(folder, Existing::kReplace, [&](const fs::path& temporary) {
    save_moga_adapter(temporary / "adapter.safetensors", *models.transformer, config.lora.names);
  });
}

}  // namespace

NamedTensors TrainModels::parameters() const {
  NamedTensors named = named_parameters(*transformer, "transformer.");
  if (!text_encoder) return named;
  for (auto& item : named_parameters(*text_encoder, "text_encoder.")) named.push_back(std::move(item));
  return named;
}

TrainModels make_models(const TrainConfig& config, at::Device device) {
  const RandomScope random(config.seed, "weights");
  TrainModels models;
  const bool adapted = config.lora.enabled();
  models.transformer = adapted ? adapted_model(config, device) : config.transformer->build(/*initialise=*/true);
  if (config.text == TextSource::kEncoder) models.text_encoder = TextEncoder(config.text_encoder);
  if (!adapted) train_all(*models.transformer, config, device);
  models.transformer->set_recompute(config.recompute);
  if (!models.text_encoder) return models;

  if (const fs::path folder = text_encoder_folder(config); !folder.empty())
    copy_weights(*models.text_encoder, *load_text_encoder(folder, at::kCPU, at::kFloat), folder.string());
  models.text_encoder->to(device, at::kFloat);
  for (at::Tensor& weight : models.text_encoder->parameters()) weight.requires_grad_(config.train_text_encoder);
  return models;
}

void export_model(const fs::path& folder, const TrainModels& models, const TrainConfig& config,
                  const std::vector<int64_t>& size) {
  if (config.lora.enabled()) return export_adapter(folder, models, config);
  constexpr WeightLayout layout = WeightLayout::kDiffusers;
  write_folder_atomically(folder, Existing::kReplace, [&](const fs::path& temporary) {
    models.transformer->save(temporary / "transformer", at::kBFloat16, layout);
    if (models.text_encoder)
      save_text_encoder(temporary / "text_encoder", models.text_encoder, at::kBFloat16, layout);
    else
      copy_text_encoder(config, temporary / "text_encoder");
    copy_tokenizer(config, temporary / "tokenizer");
    if (!config.vae.empty()) copy_vae(config.vae, temporary / "vae");
    copy_image_encoder(config, temporary);
    const SamplerConfig& sampler = config.samples.sampler;
    write_text(temporary / "scheduler" / "scheduler_config.json", scheduler_json(sampler).dump(2) + "\n");
    const auto index = index_json(models.transformer->config(), scheduler_class(sampler), expands_timesteps(config));
    write_text(temporary / "model_index.json", index.dump(2) + "\n");
    if (!size.empty()) add_size(temporary / "model_index.json", size);
  });
}

}  // namespace moga
