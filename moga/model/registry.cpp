// See registry.h. A family is one line in the two tables below.
#include "moga/model/registry.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/model/mmdit/family.h"
#include "moga/model/vae/family.h"
#include "moga/model/wan/family.h"

namespace moga {
namespace {

using Path = std::filesystem::path;

auto video_families() { return std::array{&wan_family(), &mmdit_family()}; }
auto codec_families() { return std::array{&wan_vae_family()}; }

template <class Families>
std::string supported(const Families& families) {
  std::string names;
  for (const auto* family : families)
    for (const std::string& name : family->class_names) names += (names.empty() ? "" : ", ") + name;
  return names;
}

// `_class_name`, or empty.
std::string class_of(const nlohmann::json& config) {
  const auto found = config.find("_class_name");
  if (found == config.end()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

template <class Families>
const auto& family_of(const Path& config_json, const Families& families) {
  const nlohmann::json config = parse_json_object(read_text(config_json, kMostConfigBytes), config_json.string());
  const std::string name = class_of(config);
  for (const auto* family : families)
    if (name.empty() ? family->recognises(config) : std::ranges::count(family->class_names, name) > 0) return *family;
  const std::string means = meaning_of_unsupported(name);
  fail(config_json.string(), name.empty() ? ": no _class_name, and no model has its keys" : ": _class_name = " + name,
       ", expected ", supported(families), means.empty() ? "" : "; this is " + means);
}

const VideoFamily& video_family(const Path& folder) { return family_of(folder / "config.json", video_families()); }
const CodecFamily& codec_family(const Path& folder) { return family_of(folder / "config.json", codec_families()); }

template <class Families>
std::vector<std::string> classes_of(const Families& families) {
  std::vector<std::string> names;
  for (const auto* family : families) names.insert(names.end(), family->class_names.begin(), family->class_names.end());
  return names;
}

const VideoFamily& family_of_class(const std::string& name) {
  for (const VideoFamily* family : video_families())
    if (std::ranges::count(family->class_names, name) > 0) return *family;
  fail("_class_name = ", name, ", expected ", supported(video_families()));
}

}  // namespace

std::vector<std::string> video_model_classes() { return classes_of(video_families()); }
std::vector<std::string> codec_classes() { return classes_of(codec_families()); }

std::vector<std::string> pipeline_classes() {
  std::vector<std::string> names;
  for (const VideoFamily* family : video_families())
    names.insert(names.end(), family->pipelines.begin(), family->pipelines.end());
  return names;
}

std::string pipeline_class(const std::string& video_model_class) {
  const VideoFamily& family = family_of_class(video_model_class);
  check(!family.pipelines.empty(), video_model_class, " has no pipeline in diffusers");
  return family.pipelines.front();
}

std::string image_pipeline_class(const std::string& video_model_class) {
  const VideoFamily& family = family_of_class(video_model_class);
  check(!family.image_pipelines.empty(), video_model_class, " has no pipeline for images in diffusers");
  return family.image_pipelines.front();
}

bool is_image_pipeline(const std::string& pipeline_class) {
  return std::ranges::any_of(video_families(), [&](const VideoFamily* family) {
    return std::ranges::count(family->image_pipelines, pipeline_class) > 0;
  });
}

std::string meaning_of_unsupported(const std::string& name) {
  for (const VideoFamily* family : video_families())
    for (const NamedMeaning& unsupported : family->not_supported)
      if (unsupported.name == name) return unsupported.means;
  return "";
}

Cloned<VideoModelConfig> load_video_model_config(const Path& config_json) {
  return family_of(config_json, video_families()).read_config(config_json);
}

VideoModelPtr load_video_model(const Path& folder, const VideoModelLoad& how) {
  return video_family(folder).load(folder, how);
}

FileFit video_model_file_fit(const Path& folder, const std::vector<std::string>& settings) {
  return video_family(folder).file_fit(folder, settings);
}
WeightLayout video_model_layout(const Path& folder) { return video_family(folder).layout(folder); }

Cloned<CodecConfig> load_codec_config(const Path& config_json) {
  return family_of(config_json, codec_families()).read_config(config_json);
}

CodecPtr load_codec(const Path& folder, c10::Device device, c10::ScalarType dtype) {
  return codec_family(folder).load(folder, device, dtype);
}

FileFit codec_file_fit(const Path& folder) { return codec_family(folder).file_fit(folder); }
WeightLayout codec_layout(const Path& folder) { return codec_family(folder).layout(folder); }

Cloned<VideoModelConfig> default_video_model(const std::string& class_name) {
  const VideoFamily& family = class_name.empty() ? *video_families().front() : family_of_class(class_name);
  check(!family.sizes.empty(), class_name, " has no published size to start from: name a model folder");
  return family.sizes.front().config;
}

const VideoFamily::Size* published_size(const std::string& size) {
  for (const VideoFamily* family : video_families())
    for (const VideoFamily::Size& published : family->sizes)
      if (size == published.name) return &published;
  return nullptr;
}

Cloned<VideoModelConfig> published_video_model(const std::string& size) {
  const VideoFamily::Size* published = published_size(size);
  return published ? published->config : Cloned<VideoModelConfig>();
}

std::string size_names() {
  std::string names;
  for (const VideoFamily* family : video_families())
    for (const VideoFamily::Size& published : family->sizes)
      names += (names.empty() ? "" : ", ") + std::string(published.name);
  return names;
}

Cloned<CodecConfig> published_codec(const VideoModelConfig& model) {
  const std::string class_name = model.codec_class();
  for (const CodecFamily* family : codec_families()) {
    if (!std::ranges::count(family->class_names, class_name)) continue;
    for (const Cloned<CodecConfig>& codec : family->published)
      if (codec->latent_channels() == model.latent_channels()) return codec;
    return family->published.front();
  }
  fail("codec class '", class_name, "' is not supported; supported: ", supported(codec_families()));
}

}  // namespace moga
