// Private to moga/data/dataset: the names of files and tensors, and the rules that writer and reader share.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "moga/data/dataset/images.h"

namespace moga {

inline constexpr const char* kDatasetFile = "dataset.json";
inline constexpr const char* kNegativeFile = "negative.safetensors";

inline std::string tensor_name(int64_t index) { return "latent." + std::to_string(index); }
inline std::string text_name(int64_t index, size_t shot) {
  return "text." + std::to_string(index) + "." + std::to_string(shot);
}

inline std::string condition_name(int64_t index) { return "condition." + std::to_string(index); }
inline std::string given_name(int64_t index) { return "given." + std::to_string(index); }
inline std::string embedding_name(int64_t index, size_t shot) {
  return "image." + std::to_string(index) + "." + std::to_string(shot);
}

std::string shard_name(int64_t number);
// The shards in a folder, in order.
std::vector<std::filesystem::path> shard_paths(const std::filesystem::path& folder);

// Throws unless the latent is [z, F, Y', X'] of a stored dtype and its shots, with a caption each, have F frames.
void check_sample(const std::vector<int64_t>& shape, c10::ScalarType dtype, const std::vector<int64_t>& shot_frames,
                  size_t captions, const std::string& where);
// Throws unless there is a flag for each shot, and a last image only where there is a first one.
void check_shown(const ShownImages& shown, size_t shots, const std::string& where);
// The shape of the stored tensor of a video's images, given the shape of its latent; empty when there is none.
std::vector<int64_t> image_shape(ImageForm form, const ShownImages& shown, const std::vector<int64_t>& latent);

}  // namespace moga
