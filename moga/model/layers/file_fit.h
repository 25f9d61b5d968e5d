// How the weights in a part's folder fit its config.json, by names and shapes: no weight is read and none allocated.
// The names are looked up as load_transformer, load_text_encoder and load_vae look them up; throws what they throw when
// a config or a header cannot be read.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "moga/core/module_io.h"

namespace moga {

// `settings` override config.json.
FileFit transformer_file_fit(const std::filesystem::path& folder, const std::vector<std::string>& settings);
FileFit text_encoder_file_fit(const std::filesystem::path& folder);
FileFit vae_file_fit(const std::filesystem::path& folder);

// Whether a loaded model is the file's model. Throws one line when the file is quantized (bitsandbytes and the like),
// when a tensor is missing or has another shape, and when the file has tensors that the model has no use for, which
// would change its result: it names the first, counts them, and says what the model is where the name tells (VACE,
// image to video).
void check_file_fit(const FileFit& fit);

}  // namespace moga
