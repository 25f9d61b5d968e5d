// A complete model folder of a few kilobytes with random weights, so that the pipeline and the program can be tested
// end to end. Its videos are noise.
#pragma once

#include <filesystem>

namespace moga::test {

void write_tiny_model(const std::filesystem::path& folder);

}  // namespace moga::test
