// The size of the videos that a model was trained on, for scripts that name none.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace moga {

// [width, height] from the folder's model_index.json, {"_moga": {"size": [224, 128]}}; diffusers ignores keys that
// begin with "_". Empty when the folder does not say. Throws when it says something else.
std::optional<std::vector<int64_t>> model_size(const std::filesystem::path& folder);

}  // namespace moga
