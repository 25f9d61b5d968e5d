// How the weights in a part's folder fit its config.json: names and shapes only, no weight is read. The names are
// looked up as load_transformer, load_text_encoder and load_vae look them up; throws what they throw when a config or a
// header cannot be read.
#pragma once

#include <filesystem>

#include "moga/core/module_io.h"

namespace moga {

FileFit transformer_file_fit(const std::filesystem::path& folder);
FileFit text_encoder_file_fit(const std::filesystem::path& folder);
FileFit vae_file_fit(const std::filesystem::path& folder);

}  // namespace moga
