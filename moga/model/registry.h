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
// The pipelines that run a video model, of all families; and those that a model of this class is written for: the
// text-to-video pipeline and the image-to-video pipeline.
std::vector<std::string> pipeline_classes();
bool is_image_pipeline(const std::string& pipeline_class);
std::string pipeline_class(const std::string& video_model_class);
std::string image_pipeline_class(const std::string& video_model_class);
// What has a pipeline, part or setting of this name that no family runs: "an image-to-video model"; empty when unknown.
std::string meaning_of_unsupported(const std::string& name);

Cloned<VideoModelConfig> load_video_model_config(const std::filesystem::path& config_json);
// Throws when a tensor is missing or has another shape.
VideoModelPtr load_video_model(const std::filesystem::path& folder, const VideoModelLoad& how);
FileFit video_model_file_fit(const std::filesystem::path& folder, const std::vector<std::string>& settings = {});
WeightLayout video_model_layout(const std::filesystem::path& folder);

Cloned<CodecConfig> load_codec_config(const std::filesystem::path& config_json);
CodecPtr load_codec(const std::filesystem::path& folder, c10::Device device, c10::ScalarType dtype);
FileFit codec_file_fit(const std::filesystem::path& folder);
WeightLayout codec_layout(const std::filesystem::path& folder);

// The config that a family's training configs start from: the first published size of the family of this class, or of
// the first family when `class_name` is empty.
Cloned<VideoModelConfig> default_video_model(const std::string& class_name = "");
// A published size ("1.3B", "14B"); empty when no family has one of this name. `size_names`: "1.3B, 14B, …".
Cloned<VideoModelConfig> published_video_model(const std::string& size);
const VideoFamily::Size* published_size(const std::string& size);  // null when there is none
std::string size_names();
// The codec that a model's family is made for, as published: of its latent channels or, where none has as many, the
// first one.
Cloned<CodecConfig> published_codec(const VideoModelConfig& model);

}  // namespace moga
