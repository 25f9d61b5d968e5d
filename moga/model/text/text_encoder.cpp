// See text_encoder.h.
#include "moga/model/text/text_encoder.h"

#include <torch/nn/modules/container/modulelist.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/foreign_keys.h"
#include "moga/core/interrupt.h"
#include "moga/core/json_text.h"
#include "moga/core/module_io.h"
#include "moga/core/safetensors.h"
#include "moga/core/shapes_only.h"
#include "moga/model/layers/file_fit.h"
#include "moga/model/layers/limits.h"
#include "moga/model/layers/scaled_weights.h"
#include "moga/model/text/names.h"

namespace moga {
namespace {

LoadOptions load_options(const Safetensors& file) {
  LoadOptions options;
  // The second name of the table of text tokens; what a file of a whole T5 model or of ComfyUI has beyond the encoder.
  options.harmless = {"encoder.embed_tokens.", "shared.weight", "decoder.", "lm_head.", "spiece_model"};
  const auto in_wan_block = [](const std::string& name) { return name.starts_with("blocks."); };
  if (std::ranges::any_of(file.names(), in_wan_block)) return options;
  options.file_name_of = [file](const std::string& name) -> std::string {
    const std::string translated = hugging_face_text_name(name);
    // Two names of the same tensor; a file has one of them.
    const bool tied = translated == "shared.weight" && file.contains("encoder.embed_tokens.weight");
    return tied && !file.contains(translated) ? "encoder.embed_tokens.weight" : translated;
  };
  return options;
}

// Of transformers' UMT5Config and of every PretrainedConfig; what concerns the decoder, training, search for text and
// the form of results is harmless.
constexpr std::array kForeignKeys = {
    ForeignKey{"model_type", R"("umt5")", "not a UMT5 encoder"},
    ForeignKey{"dense_act_fn", R"("gelu_new")"},
    ForeignKey{"feed_forward_proj", R"("gated-gelu")"},
    ForeignKey{"is_gated_act", "true"},
    ForeignKey{"is_decoder", "false"},
    ForeignKey{"add_cross_attention", "false"},
    ForeignKey{"quantization_config", "null", "quantized"},
    ForeignKey{"pruned_heads", "{}"},
    ForeignKey{"architectures"},
    ForeignKey{"bos_token_id"},
    ForeignKey{"chunk_size_feed_forward"},
    ForeignKey{"classifier_dropout"},
    ForeignKey{"cross_attention_hidden_size"},
    ForeignKey{"decoder_start_token_id"},
    ForeignKey{"dropout_rate"},
    ForeignKey{"dtype"},
    ForeignKey{"eos_token_id"},
    ForeignKey{"finetuning_task"},
    ForeignKey{"id2label"},
    ForeignKey{"initializer_factor"},
    ForeignKey{"is_encoder_decoder"},
    ForeignKey{"label2id"},
    ForeignKey{"num_decoder_layers"},
    ForeignKey{"output_attentions"},
    ForeignKey{"output_hidden_states"},
    ForeignKey{"output_past"},
    ForeignKey{"pad_token_id"},
    ForeignKey{"prefix"},
    ForeignKey{"problem_type"},
    ForeignKey{"return_dict"},
    ForeignKey{"scalable_attention"},
    ForeignKey{"sep_token_id"},
    ForeignKey{"task_specific_params"},
    ForeignKey{"tie_encoder_decoder"},
    ForeignKey{"scale_decoder_outputs"},
    ForeignKey{"tie_word_embeddings"},
    ForeignKey{"tokenizer_class"},
    ForeignKey{"torch_dtype"},
    ForeignKey{"torchscript"},
    ForeignKey{"transformers_version"},
    ForeignKey{"use_bfloat16"},
    ForeignKey{"use_cache"},
};

// Of a tensor as saved_tensors names it: scales and the marker of 8-bit weights, too.
std::string hugging_face_name(const std::string& name) {
  const size_t member = name.rfind('.') + 1;
  if (member == 0) return name;
  const std::string weight = hugging_face_text_name(name.substr(0, member) + "weight");
  return weight.substr(0, weight.rfind('.') + 1) + name.substr(member);
}

FileFit fit_of(const TextEncoderConfig& config, const Safetensors& file) {
  return scaled_file_fit(*shapes_of<TextEncoder>(config, /*initialise=*/false), file, load_options(file));
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
  for (const int64_t side : {vocab_size, d_model, d_kv, d_ff, num_heads, relative_attention_num_buckets})
    check(side <= kMostSide, "a size is ", side, ": expected at most ", kMostSide);
  check(num_heads * d_kv <= kMostSide, "num_heads times d_kv is ", num_heads * d_kv, ": expected at most ", kMostSide);
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

TextEncoderConfig load_text_encoder_config(const std::filesystem::path& path) {
  nlohmann::json config = parse_json_object(read_text(path, kMostConfigBytes), path.string());
  erase_foreign_keys(config, kForeignKeys, path.string());
  return parse_json<TextEncoderConfig>(config.dump(2), path.string());
}

TextEncoder load_text_encoder(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype) {
  const Safetensors file(folder);
  const TextEncoderConfig config = load_text_encoder_config(folder / "config.json");
  check_file_fit(fit_of(config, file));
  TextEncoder model(config, /*initialise=*/false);
  LoadOptions options = load_options(file);
  expect_scaled_weights(*model, file, options);
  // Allocates storage with the final dtype and device before anything is written to it.
  for (at::Tensor& parameter : model->parameters()) {
    const bool in_8_bits = parameter.scalar_type() == at::kFloat8_e4m3fn;
    const auto storage = at::TensorOptions(device).dtype(in_8_bits ? at::kFloat8_e4m3fn : dtype);
    parameter.set_data(at::empty(parameter.sizes(), storage));
  }
  for (at::Tensor& scale : model->buffers()) scale.set_data(scale.to(device));

  load_parameters(*model, file, options);
  return model;
}

FileFit text_encoder_file_fit(const std::filesystem::path& folder) {
  return fit_of(load_text_encoder_config(folder / "config.json"), Safetensors(folder));
}

void save_text_encoder(const std::filesystem::path& folder, const TextEncoder& model, at::ScalarType dtype,
                       WeightLayout layout) {
  const bool rename = layout == WeightLayout::kDiffusers;
  TensorMap tensors;
  for (const auto& [name, tensor] : saved_tensors(*model, [&](const std::string&) { return dtype; }))
    tensors[rename ? hugging_face_name(name) : name] = tensor;
  save_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  // What transformers' UMT5EncoderModel reads, beyond its defaults.
  nlohmann::ordered_json config = {{"architectures", {"UMT5EncoderModel"}},
                                   {"model_type", "umt5"},
                                   {"feed_forward_proj", "gated-gelu"},
                                   {"is_encoder_decoder", false}};
  config.update(nlohmann::ordered_json::parse(to_json(model->config())));
  write_text(folder / "config.json", config.dump(2) + "\n");
}

}  // namespace moga
