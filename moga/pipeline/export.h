// A copy of a model folder in the names and the dtype that another program expects. Routers are written as
// blocks.N.self_attn.router (Wan2.1) or blocks.N.attn1.router (diffusers); programs without routers ignore them.
#pragma once

#include <c10/core/ScalarType.h>

#include <filesystem>
#include <optional>

#include "moga/model/adapter/adapters.h"
#include "moga/model/layers/weight_layout.h"

namespace moga {

struct ExportOptions {
  WeightLayout layout = WeightLayout::kDiffusers;
  // Dtype of the weights, by default that of most values of each part. The transformer's norms, modulations, time
  // embedding and routers are always float32. kFloat8_e4m3fn: attention and feed-forward weights of transformer and
  // text encoder in 8 bits with scales (scaled_weights.h), everything else in bfloat16, the VAE in its own dtype.
  std::optional<c10::ScalarType> dtype = {};
  AdapterRequests adapters = {};  // merged into the transformer
};

// Reads those parts (model_part.h) that `from` has, one after the other, and writes them to `to` with copies of
// tokenizer/, scheduler/, image_processor/ and model_index.json. `to` must not exist; it appears whole or not at all.
void export_model_folder(const std::filesystem::path& from, const std::filesystem::path& to,
                         const ExportOptions& options);

// The dtype of most values in a part's files.
c10::ScalarType main_dtype(const std::filesystem::path& part);

}  // namespace moga
