// How the weights in a part's folder fit its config.json, by names and shapes: no weight is read and none allocated.
// The names are looked up as load_transformer, load_text_encoder and load_vae look them up; throws what they throw when
// a config or a header cannot be read.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "moga/core/module_io.h"

namespace moga {

FileFit transformer_file_fit(const std::filesystem::path& folder);
FileFit text_encoder_file_fit(const std::filesystem::path& folder);
FileFit vae_file_fit(const std::filesystem::path& folder);
// Throw what loading would throw at a file that does not fit (check_file_fit). `settings`: over config.json.
void check_transformer_file(const std::filesystem::path& folder, const std::vector<std::string>& settings = {});
void check_text_encoder_file(const std::filesystem::path& folder);
void check_vae_file(const std::filesystem::path& folder);

// Whether a loaded model is the file's model. Throws one line when the file is quantized (scaled fp8 and the like),
// when a tensor is missing or has another shape, and when the file has tensors that the model has no use for, which
// would change its result: it names the first, counts them, and says what the model is where the name tells (VACE,
// image to video). `harmless`: parts of names of tensors that may be left unused.
void check_file_fit(const FileFit& fit, const Safetensors& file, std::span<const std::string_view> harmless = {});

}  // namespace moga
