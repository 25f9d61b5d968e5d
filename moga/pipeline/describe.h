// The contents of a path, in a few readable lines: a model folder, a safetensors file, a video, a shot script.
#pragma once

#include <filesystem>
#include <string>

namespace moga {

// Throws one line if the path is none of these, or is damaged.
std::string describe(const std::filesystem::path& path);

}  // namespace moga
