// An image encoder in a folder: config.json and safetensors as transformers writes them. Reading is strict: a config
// key or a tensor that is not understood is an error. See image_encoder.h.
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/foreign_keys.h"
#include "moga/core/json_text.h"
#include "moga/model/image/image_encoder.h"
#include "moga/model/layers/load_module.h"

namespace moga {
namespace {

// Of transformers' CLIPVisionConfig and of every PretrainedConfig.
constexpr std::array kEncoderKeys = {
    ForeignKey{"model_type", R"("clip_vision_model")", "not CLIP's vision model"},
    ForeignKey{"num_channels", "3"},
    ForeignKey{"quantization_config", "null", "quantized"},
    ForeignKey{"attention_dropout"},
    ForeignKey{"architectures"},
    ForeignKey{"chunk_size_feed_forward"},
    ForeignKey{"dropout"},
    ForeignKey{"dtype"},
    ForeignKey{"id2label"},
    ForeignKey{"initializer_factor"},
    ForeignKey{"initializer_range"},
    ForeignKey{"is_encoder_decoder"},
    ForeignKey{"label2id"},
    ForeignKey{"output_attentions"},
    ForeignKey{"output_hidden_states"},
    ForeignKey{"problem_type"},
    ForeignKey{"projection_dim"},
    ForeignKey{"return_dict"},
    ForeignKey{"torch_dtype"},
    ForeignKey{"transformers_version"},
};

constexpr std::string_view kRoot = "vision_model.";

// Some versions of transformers write the names without "vision_model.".
LoadOptions load_options(const Safetensors& file) {
  LoadOptions options;
  // The projection comes after the layer whose input is taken; position_ids count from 0.
  options.harmless = {"visual_projection.", "position_ids"};
  const auto rooted = [](const std::string& name) { return name.starts_with(kRoot); };
  if (std::ranges::none_of(file.names(), rooted))
    options.file_name_of = [](const std::string& name) { return name.substr(kRoot.size()); };
  return options;
}

}  // namespace

ImageEncoderConfig load_image_encoder_config(const std::filesystem::path& path) {
  nlohmann::json config = parse_json_object(read_text(path, kMostConfigBytes), path.string());
  erase_foreign_keys(config, kEncoderKeys, path.string());
  return parse_json<ImageEncoderConfig>(config.dump(2), path.string());
}

ImageEncoder load_image_encoder(const std::filesystem::path& folder, at::Device device) {
  const Safetensors file(folder);
  const ImageEncoderConfig config = load_image_encoder_config(folder / "config.json");
  return load_module<ImageEncoder>(config, file, load_options(file), device);
}

FileFit image_encoder_file_fit(const std::filesystem::path& folder) {
  const Safetensors file(folder);
  const ImageEncoderConfig config = load_image_encoder_config(folder / "config.json");
  return module_file_fit<ImageEncoder>(config, file, load_options(file));
}

void save_image_encoder(const std::filesystem::path& folder, const ImageEncoder& model, at::ScalarType dtype) {
  TensorMap tensors;
  for (const auto& [name, tensor] : named_tensors(*model)) tensors[name] = tensor.detach().to(dtype);
  save_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  nlohmann::ordered_json config = {{"architectures", {"CLIPVisionModel"}}, {"model_type", "clip_vision_model"}};
  config.update(nlohmann::ordered_json::parse(to_json(model->config())));
  write_text(folder / "config.json", config.dump(2) + "\n");
}

}  // namespace moga
