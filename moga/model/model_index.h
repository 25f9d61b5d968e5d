// model_index.json: which pipeline of diffusers a model folder is made for. Only text to video with one transformer is
// run; any other pipeline, part or class is refused by name, before a weight is read.
#pragma once

#include <filesystem>

namespace moga {

// Throws one line with the file, what was found and what was expected, and what the model is where that can be told
// (image to video, Wan2.2's two experts, VACE). A folder without the file passes; its parts are checked by their own
// configs. A folder with a transformer_2/ does not.
void check_model_index(const std::filesystem::path& folder);

}  // namespace moga
