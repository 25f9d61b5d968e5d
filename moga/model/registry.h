// The registry of model families: a folder with config.json → the VideoModel or Codec that its `_class_name` names.
//
// An original Wan2.1 config.json may lack `_class_name`, and so do folders written before it was saved: these are
// recognised by their keys. Anything else is an error that names the class and what is supported.
#pragma once

#include "moga/model/family.h"

namespace moga {

// The `_class_name`s that are read, of all families.
std::vector<std::string> video_model_classes();
std::vector<std::string> codec_classes();

Cloned<VideoModelConfig> load_video_model_config(const std::filesystem::path& config_json);
// Throws when a tensor is missing or has another shape.
VideoModelPtr load_video_model(const std::filesystem::path& folder, const VideoModelLoad& how);
FileFit video_model_file_fit(const std::filesystem::path& folder);
WeightLayout video_model_layout(const std::filesystem::path& folder);

Cloned<CodecConfig> load_codec_config(const std::filesystem::path& config_json);
CodecPtr load_codec(const std::filesystem::path& folder, c10::Device device, c10::ScalarType dtype);
FileFit codec_file_fit(const std::filesystem::path& folder);

// A published size ("1.3B", "14B"); empty when no family has one of this name. `size_names`: "1.3B, 14B, I2V-14B, A14B, I2V-A14B".
Cloned<VideoModelConfig> published_video_model(const std::string& size);
const VideoFamily::Size* published_size(const std::string& size);  // null when there is none
std::string size_names();
// The codec of this class with its published sizes: "AutoencoderKLWan".
Cloned<CodecConfig> published_codec(const std::string& class_name);

}  // namespace moga
