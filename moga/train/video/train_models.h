// The two models that a run trains jointly: the transformer and, unless it is frozen, the text encoder. Weights are
// float32 masters on the training device; both compute in the dtype they are called with.
#pragma once

#include <filesystem>

#include "moga/model/text/text_encoder.h"
#include "moga/model/wan/transformer.h"
#include "moga/train/video/config.h"
#include "moga/train/loop/parameters.h"

namespace moga {

struct TrainModels {
  Transformer transformer = nullptr;
  TextEncoder text_encoder = nullptr;

  // "transformer.…" and, when it is trained, "text_encoder.…".
  NamedTensors parameters() const;
};

// Random weights from the config's seed, or those of config.init; routers that init lacks stay random.
TrainModels make_models(const TrainConfig& config, at::Device device);

// A model folder: transformer/, text_encoder/, tokenizer/, vae/ when the config names one, scheduler/,
// model_index.json. Weights are written in bfloat16. The folder is written under a temporary name and renamed.
void export_model(const std::filesystem::path& folder, const TrainModels& models, const TrainConfig& config);

}  // namespace moga
