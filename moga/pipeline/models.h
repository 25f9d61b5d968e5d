// Models: the parts that turn a script into a video, loaded from one folder in diffusers' layout.
//
//   tokenizer/spiece.model   text_encoder/   transformer/   vae/   scheduler/scheduler_config.json
//   transformer_2/   the low-noise expert of a model of two (Wan2.2)
//   image_encoder/   image_processor/preprocessor_config.json   of Wan2.1's image-to-video models
//
// text_encoder, image_encoder, the transformers and vae hold a config.json and safetensors; the `_class_name` of
// transformer and vae chooses the family (moga/model/registry.h). The parts are used in denoise.h and generate.h.
#pragma once

#include <filesystem>
#include <optional>

#include "moga/model/adapter/adapters.h"
#include "moga/model/codec.h"
#include "moga/model/image/image_encoder.h"
#include "moga/model/image/image_processor.h"
#include "moga/model/layers/product_weight.h"
#include "moga/model/text/text_encoder.h"
#include "moga/model/text/tokenizer.h"
#include "moga/model/video_model.h"
#include "moga/sampler/scheduler_file.h"

namespace moga {

struct Models {
  Tokenizer tokenizer;
  TextEncoder text_encoder;
  VideoModelPtr transformer;
  CodecPtr vae;
  SamplerConfig sampler;  // as the model's authors recommend
  at::Device device;
  at::ScalarType dtype;                 // of text encoder and transformer; the VAE has its own
  VideoModelPtr transformer_2 = {};     // the expert for timesteps below `boundary`; null in a model of one
  double boundary = 0;                  // timestep in [0, 1000]
  ImageEncoder image_encoder{nullptr};  // float32; empty unless the transformer sees embeddings of images
  ImageProcessorConfig image_processor = {};
  bool expand_timesteps = false;  // ModelIndex::expand_timesteps

  std::vector<VideoModelPtr> experts() const {
    return transformer_2 ? std::vector{transformer, transformer_2} : std::vector{transformer};
  }
  Strides pixels_per_token() const { return vae->config().strides() * transformer->config().patch(); }
};

// The configs of a model folder's parts, without weights. Reading them throws one line when the folder is made for a
// pipeline that is not supported (model_index.h), a config has a key that is not understood, or two parts do not fit
// each other.
struct ModelConfigs {
  Cloned<VideoModelConfig> transformer;
  TextEncoderConfig text_encoder;
  Cloned<CodecConfig> vae;
  SamplerConfig sampler;
  Cloned<VideoModelConfig> transformer_2 = {};  // empty in a model of one expert
  double boundary_ratio = 0;
  std::optional<ImageEncoderConfig> image_encoder = {};
  ImageProcessorConfig image_processor = {};
  bool expand_timesteps = false;

  Strides pixels_per_token() const { return vae->strides() * transformer->patch(); }
};
ModelConfigs load_model_configs(const std::filesystem::path& folder);
// Overrides them by `settings`, as load_models does; `source`: who gave them, for errors.
void apply_settings(ModelConfigs& configs, const std::vector<std::string>& settings,
                    const std::string& source = "command line");

// Advice for `folder` when it is an original Wan repository, whose VAE and text encoder are pickles; else
// empty.
std::string original_wan_advice(const std::filesystem::path& folder);

// Files that load_models needs and the folder lacks, as paths within it; empty when it is complete.
std::vector<std::string> missing_parts(const std::filesystem::path& folder);

// The VAE's dtype unless one is given: the models' dtype on a GPU, where float32 takes several times as long;
// float32 on a CPU.
at::ScalarType default_vae_dtype(at::Device device, at::ScalarType dtype);

struct LoadWays {
  std::optional<at::ScalarType> vae_dtype = {};  // default_vae_dtype otherwise
  bool stream_weights = false;  // the transformer's blocks, from host memory (VideoModel::stream_blocks)
  // Of two experts, the one that does not compute rests in host memory (VideoModel::rest); by default on a GPU.
  std::optional<bool> rest_experts = {};
  bool text_encoder = true;  // false: stays null, for a rank that receives its text
  // Checked against the transformer before any weight is read. The settings of a MoGA adapter (adapter_settings) are
  // the caller's to pass.
  AdapterRequests adapters = {};
  EightBitProducts eight_bit = EightBitProducts::kDequantise;  // of a transformer whose weights are in 8 bits
};

// Throws one line that names the part that is missing, or two parts that do not fit each other. `settings` override the
// configs of transformer and sampler: {"transformer.moga.kind=full", "sampler.steps=20", …}. Those of the transformer
// reach both experts, "transformer_2.…" the second alone. Where these leave fewer
// steps than the folder's own full_steps, all steps are full ones; full_steps among the settings must fit the steps.
Models load_models(const std::filesystem::path& folder, at::Device device, at::ScalarType dtype,
                   const std::vector<std::string>& settings = {}, const LoadWays& ways = {});

}  // namespace moga
