// The contents of a path, in a few readable lines: a model folder, a safetensors file, a video, a shot script.
#pragma once

#include <filesystem>
#include <string>

namespace moga {

// Throws one line when the path is nothing of the kind, or is damaged.
std::string describe(const std::filesystem::path& path);

}  // namespace moga
