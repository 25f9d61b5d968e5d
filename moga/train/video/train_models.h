// The two models of a run: the transformer and the text encoder, which is trained jointly unless it is frozen. Weights
// are float32 masters on the training device; both compute in the dtype they are called with.
#pragma once

#include <filesystem>

#include "moga/model/text/text_encoder.h"
#include "moga/model/video_model.h"
#include "moga/train/loop/parameters.h"
#include "moga/train/video/config.h"

namespace moga {

struct TrainModels {
  VideoModelPtr transformer;
  TextEncoder text_encoder = nullptr;

  // "transformer.…" and, when it is trained, "text_encoder.…".
  NamedTensors parameters() const;
};

// Random weights from the config's seed, or those of config.init; routers that init lacks stay random. With config.lora
// the transformer is that of init, frozen, with low-rank updates. An image-to-video model may start from a
// text-to-video model: its additional input channels start at zero.
TrainModels make_models(const TrainConfig& config, at::Device device);

// Writes a model folder as the pipeline of its family in diffusers reads it: transformer/, text_encoder/, tokenizer/,
// vae/ when the config names one, image_encoder/ and image_processor/ where the model uses them, scheduler/,
// model_index.json. Weights are bfloat16 under diffusers' names. The folder is written whole or not at all. `size`:
// [width, height] of the videos, which generation uses for scripts that name none; empty: not written. With
// config.lora: adapter.safetensors alone, a MoGA adapter.
void export_model(const std::filesystem::path& folder, const TrainModels& models, const TrainConfig& config,
                  const std::vector<int64_t>& size = {});

}  // namespace moga
