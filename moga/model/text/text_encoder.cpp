// See text_encoder.h.
#include "moga/model/text/text_encoder.h"

#include <torch/nn/modules/container/modulelist.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/core/module_io.h"
#include "moga/core/safetensors.h"
#include "moga/core/shapes_only.h"
#include "moga/model/layers/file_fit.h"
#include "moga/model/layers/limits.h"
#include "moga/model/layers/linear.h"
#include "moga/model/text/names.h"

namespace moga {
namespace {

LoadOptions load_options(const Safetensors& file) {
  LoadOptions options;
  const auto in_wan_block = [](const std::string& name) { return name.starts_with("blocks."); };
  if (std::ranges::any_of(file.names(), in_wan_block)) return options;
  options.file_name_of = [file](const std::string& name) -> std::string {
    const std::string translated = hugging_face_text_name(name);
    // Two names of one tensor; a file has either.
    const bool tied = translated == "shared.weight" && file.contains("encoder.embed_tokens.weight");
    return tied && !file.contains(translated) ? "encoder.embed_tokens.weight" : translated;
  };
  return options;
}

// Hugging Face's config.json has many keys that do not concern the encoder.
TextEncoderConfig load_text_config(const std::filesystem::path& folder) {
  return load_json<TextEncoderConfig>(folder / "config.json", /*ignore_unknown=*/true);
}

}  // namespace

void TextEncoderConfig::validate() const {
  const auto positive = [](int64_t value, const char* name) {
    check(value >= 1, name, " = ", value, ": expected ≥ 1");
  };
  positive(vocab_size, "vocab_size");
  positive(d_model, "d_model");
  positive(d_kv, "d_kv");
  positive(d_ff, "d_ff");
  positive(num_layers, "num_layers");
  positive(num_heads, "num_heads");
  check(num_layers <= kMostLayers, "num_layers = ", num_layers, ": expected at most ", kMostLayers);
  check(relative_attention_num_buckets >= 4 && relative_attention_num_buckets % 4 == 0,
        "relative_attention_num_buckets = ", relative_attention_num_buckets, ": expected a multiple of 4");
  check(relative_attention_max_distance > relative_attention_num_buckets / 4,
        "relative_attention_max_distance = ", relative_attention_max_distance,
        ": expected more than a quarter of relative_attention_num_buckets (", relative_attention_num_buckets, ")");
}

TextEncoderImpl::TextEncoderImpl(const TextEncoderConfig& config, bool initialise) : config_(config) {
  config.validate();
  token_embedding_ = register_module("token_embedding", TextTable(config.vocab_size, config.d_model));
  torch::nn::ModuleList blocks;
  for (int64_t i = 0; i < config.num_layers; ++i) blocks->push_back(blocks_.emplace_back(config));
  register_module("blocks", blocks);
  norm_ = register_module("norm", TextNorm(config));
  if (initialise) this->initialise();
}

void TextEncoderImpl::initialise() {
  const at::NoGradGuard no_grad;
  token_embedding_->fill_normal(1.0);
  for (TextEncoderBlock& block : blocks_) block->initialise();
  norm_->initialise();
}

at::Tensor TextEncoderImpl::forward(const at::Tensor& ids, const at::Tensor& lengths, at::ScalarType dtype) {
  check(ids.dim() == 2 && ids.size(1) >= 1, "text ids have shape ", ids.sizes(), ", expected [B, L]");
  check(lengths.dim() == 1 && lengths.size(0) == ids.size(0), "text lengths have shape ", lengths.sizes(),
        ", expected [", ids.size(0), "]");
  const int64_t length = ids.size(1);
  const at::Tensor known = at::arange(length, lengths.options()) < lengths.unsqueeze(1);  // [B, L]
  const TextPositions positions = {.buckets = distance_buckets(length, config_.relative_attention_num_buckets,
                                                               config_.relative_attention_max_distance, ids.device()),
                                   .known = known.unsqueeze(1).unsqueeze(2)};

  at::Tensor x = token_embedding_->rows(ids).to(wide(dtype));  // [B, L, d_model]
  for (TextEncoderBlock& block : blocks_) {
    stop_inside_if_interrupted();
    x = block(x, positions, dtype);
  }
  return norm_(x).to(dtype).masked_fill(known.logical_not().unsqueeze(2), 0);
}

TextEncoder load_text_encoder(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype) {
  const Safetensors file(folder);
  TextEncoder model(load_text_config(folder), /*initialise=*/false);
  // Storage of the final dtype and device, before anything is written to it.
  for (at::Tensor& parameter : model->parameters())
    parameter.set_data(at::empty(parameter.sizes(), at::TensorOptions().device(device).dtype(dtype)));

  const LoadReport report = load_parameters(*model, file, load_options(file));
  if (!report.unused.empty())
    log_info(folder.string(), ": ", report.unused.size(), " tensors not used, first ", report.unused.front());
  return model;
}

FileFit text_encoder_file_fit(const std::filesystem::path& folder) {
  const Safetensors file(folder);
  const TextEncoderConfig config = load_text_config(folder);
  const ShapesOnly shapes_only;
  return file_fit(*TextEncoder(config, /*initialise=*/false), file, load_options(file));
}

void save_text_encoder(const std::filesystem::path& folder, const TextEncoder& model, at::ScalarType dtype,
                       WeightLayout layout) {
  const bool rename = layout == WeightLayout::kDiffusers;
  TensorMap tensors;
  for (const auto& [name, tensor] : named_tensors(*model))
    tensors[rename ? hugging_face_text_name(name) : name] = tensor.detach().to(dtype);
  save_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  write_text(folder / "config.json", to_json(model->config()));
}

}  // namespace moga
