// See describe_json.h. Headers only: no weight is loaded and no frame decoded.
#include "moga/pipeline/describe_json.h"

#include <nlohmann/json.hpp>

#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/safetensors.h"
#include "moga/data/dataset/shards.h"
#include "moga/data/script.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/pipeline/describe.h"
#include "moga/pipeline/describe_adapter.h"
#include "moga/pipeline/film_tags.h"
#include "moga/pipeline/model_part.h"
#include "moga/pipeline/model_size.h"
#include "moga/pipeline/models.h"

namespace moga {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json weights_json(const fs::path& path, bool each) {
  const Safetensors file(path);
  int64_t values = 0, bytes = 0;
  Json dtypes = Json::object(), tensors = Json::object();
  for (const std::string& name : file.names()) {
    const std::string dtype = dtype_name(file.dtype(name));
    const int64_t size = c10::multiply_integers(file.shape(name));
    values += size;
    bytes += size * static_cast<int64_t>(c10::elementSize(file.dtype(name)));
    dtypes[dtype] = dtypes.value(dtype, int64_t{0}) + size;
    if (each) tensors[name] = {{"dtype", dtype}, {"shape", file.shape(name)}};
  }
  Json json = {{"values", values}, {"bytes", bytes}, {"dtypes", dtypes}};
  if (each) json["metadata"] = file.metadata();
  each ? json["tensors"] = tensors : json["tensors"] = file.names().size();
  return json;
}

// Of a file whose tensors are an adapter; nothing for other weights.
void add_adapter(Json& json, const fs::path& path) {
  const auto facts = adapter_facts(path);
  if (!facts) return;
  Json adapter = {{"kind", facts->attention ? "MoGA adapter" : "LoRA"}, {"description", adapter_text(*facts)}};
  if (!facts->problem.empty()) adapter = {{"problem", facts->problem}};
  if (!facts->base.empty()) adapter["base"] = facts->base;
  if (facts->updates > 0) adapter["updates"] = {{"layers", facts->updates}, {"largest_rank", facts->largest_rank}};
  if (facts->routers > 0) adapter["routers"] = facts->routers;
  if (facts->attention) adapter["attention"] = Json::parse(to_json(*facts->attention));
  json["adapter"] = adapter;
}

Json tensors_json(const fs::path& path) {
  Json json = {{"kind", "tensors"}};
  add_adapter(json, path);
  json.update(weights_json(path, /*each=*/true));
  return json;
}

Json config_json(const fs::path& path) { return Json::parse(to_json(load_sampler_config(path))); }

Json model_json(const fs::path& folder) {
  Json json = {{"kind", "model"}, {"parts", Json::object()}, {"missing", missing_parts(folder)}};
  for (const auto& part : kChoices<ModelPart>)
    if (fs::is_directory(folder / part.name))
      json["parts"][part.name] = weights_json(folder / part.name, /*each=*/false);
  if (const fs::path file = folder / "scheduler" / "scheduler_config.json"; fs::exists(file))
    json["sampler"] = config_json(file);
  if (const auto size = model_size(folder)) json["size"] = *size;
  return json;
}

Json folder_json(const fs::path& folder) {
  if (fs::is_directory(folder / "transformer") || fs::is_directory(folder / "vae")) return model_json(folder);
  if (fs::exists(folder / "shard-00000.safetensors"))
    return {{"kind", "shards"}, {"videos", ShardDataset(folder).size()}};
  return tensors_json(folder);
}

Json script_json(const fs::path& path) {
  Json json = {{"kind", "script"}};
  json.update(Json::parse(to_json(load_script(path))));
  return json;
}

void add_tags(Json& json, const MediaTags& tags) {
  if (!tags.title.empty()) json["title"] = tags.title;
  if (!tags.tool.empty()) json["tool"] = tags.tool;
  if (!tags.comment.empty()) json[script_in(tags) ? "script" : "comment"] = tags.comment;
}

Json video_json(const fs::path& path) {
  const VideoInfo info = open_video(path)->info();
  Json json = {{"kind", "video"}, {"width", info.width}, {"height", info.height}, {"fps", info.fps}};
  if (info.frames > 0) json["frames"] = info.frames;
  add_tags(json, info.tags);
  return json;
}

Json picture_json(const fs::path& path) {
  const ImageInfo info = png_info(path);
  Json json = {{"kind", "picture"}, {"width", info.width}, {"height", info.height}};
  add_tags(json, info.tags);
  return json;
}

Json kind_json(const fs::path& path) {
  if (fs::is_directory(path)) return folder_json(path);
  const std::string extension = path.extension().string();
  if (extension == ".toml") return script_json(path);
  if (extension == ".png") return picture_json(path);
  if (extension != ".safetensors" && !path.string().ends_with(".safetensors.index.json")) return video_json(path);
  return tensors_json(path);
}

}  // namespace

Json describe_json(const fs::path& path) {
  Json json = {{"path", path.string()}};
  json.update(kind_json(path));
  return json;
}

}  // namespace moga
