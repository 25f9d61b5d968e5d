// See describe.h. The contents of a path in a few lines: a model folder, latent shards, safetensors, a script or a
// video. Headers only: no weight is loaded and no frame decoded. A damaged part of a model folder is named and the
// others are still described; anything else that cannot be read throws one line. See describe.h.
#include "moga/pipeline/describe.h"

#include <map>

#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/excerpt.h"
#include "moga/core/json_text.h"
#include "moga/core/log.h"
#include "moga/core/safetensors.h"
#include "moga/data/dataset/shards.h"
#include "moga/data/script.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/model/model_index.h"
#include "moga/model/registry.h"
#include "moga/pipeline/describe_adapter.h"
#include "moga/pipeline/describe_fit.h"
#include "moga/pipeline/film_tags.h"
#include "moga/pipeline/model_size.h"
#include "moga/pipeline/models.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

std::string join(const std::vector<int64_t>& numbers, const char* between) {
  std::string text;
  for (const int64_t number : numbers) text += (text.empty() ? "" : between) + std::to_string(number);
  return text;
}

// The beginning of a text as one line: control characters as codes.
std::string on_one_line(const std::string& text) {
  std::string line = excerpt(text, 117);
  for (char& letter : line)
    if (letter == '\n' || letter == '\t') letter = ' ';
  return printable(line);
}

// "1,234,567"
std::string grouped(int64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3) text.insert(static_cast<size_t>(at), ",");
  return text;
}

// "1 shot", "4 shots"
std::string count_of(int64_t number, const std::string& thing) {
  return grouped(number) + " " + thing + (number == 1 ? "" : "s");
}

struct Weights {
  int64_t tensors = 0, parameters = 0, bytes = 0;
  std::map<std::string, int64_t> dtypes;  // name → parameters
};

Weights count_weights(const Safetensors& file) {
  Weights weights;
  for (const std::string& name : file.names()) {
    int64_t size = 1;
    for (const int64_t side : file.shape(name)) size *= side;
    ++weights.tensors;
    weights.parameters += size;
    weights.bytes += size * static_cast<int64_t>(c10::elementSize(file.dtype(name)));
    weights.dtypes[dtype_name(file.dtype(name))] += size;
  }
  return weights;
}

std::string summary(const Weights& weights) {
  if (weights.tensors == 0) return "no tensors";
  std::string dtypes;
  for (const auto& [name, parameters] : weights.dtypes) dtypes += (dtypes.empty() ? "" : " + ") + name;
  return count_of(weights.tensors, "tensor") + ", " + count_of(weights.parameters, "value") + ", " + dtypes + ", " +
         format_bytes(static_cast<double>(weights.bytes));
}

std::string describe_tensors(const fs::path& path) {
  const Safetensors file(path);
  const auto adapter = adapter_facts(path);
  std::string text =
      path.string() + ": " + (adapter ? adapter_text(*adapter) + "\n  " : "") + summary(count_weights(file)) + "\n";
  for (const auto& [key, value] : file.metadata()) text += "  " + on_one_line(key) + " = " + on_one_line(value) + "\n";
  for (const std::string& name : file.names())
    text +=
        "  " + on_one_line(name) + "  " + dtype_name(file.dtype(name)) + " [" + join(file.shape(name), ", ") + "]\n";
  return text;
}

bool holds_safetensors(const fs::path& folder, const std::string& beginning = "") {
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors" && entry.path().filename().string().starts_with(beginning))
      return true;
  return false;
}

std::string describe_shards(const fs::path& folder) {
  const ShardDataset dataset(folder);
  return folder.string() + ": latent shards of " + count_of(dataset.size(), "video") + "\n";
}

std::string describe_transformer(const fs::path& folder) {
  const Cloned<VideoModelConfig> config = load_video_model_config(folder / "config.json");
  const ModelShape shape = config->shape();
  const VisualAttentionConfig& moga = std::as_const(*config).attention();
  std::string text = count_of(shape.layers, "block") + " of width " + std::to_string(shape.width()) + ", " +
                     name_of(moga.kind) + " attention";
  if (shape.joint) text += std::string(", joint attention of text and ") + name_of(*shape.joint);
  if (!moga.uses_router()) return text;
  text += (shape.joint ? ", " : " with ") + count_of(moga.groups, "group") + ", combined by " + name_of(moga.combine);
  if (!moga.full_layers.empty()) text += ", full in " + count_of(moga.full_layers.size(), "block");
  return text;
}

// One line for the part and one per misfit; a damaged part is reported as such.
std::string describe_part(const fs::path& folder, ModelPart part) {
  const fs::path path = folder / name_of(part);
  std::string text;
  try {
    text = summary(count_weights(Safetensors(path)));
    const bool configured = fs::exists(path / "config.json");
    if (configured && (part == ModelPart::kTransformer || part == ModelPart::kTransformer2))
      text += "; " + describe_transformer(path);
    if (configured) text += describe_fit(path, part);
  } catch (const std::exception& error) {  // LibTorch refuses a config with absurd sizes
    const std::string message = error.what();
    text += (text.empty() ? "" : "; ") + ("cannot be read: " + message.substr(0, message.find('\n')));
  }
  return std::string("  ") + name_of(part) + ": " + text + "\n";
}

// What kind of model it is, where it is more than text to video with one transformer, or why no command runs it.
std::string describe_pipeline(const fs::path& folder) {
  std::ostringstream text;
  try {
    const ModelIndex index = load_model_index(folder);
    if (index.expand_timesteps)
      text << "  text or image to video: shots of a script may name images\n";
    else if (index.image_to_video.value_or(false))
      text << "  image to video: shots of a script name images\n";
    if (index.two_experts())
      text << "  two experts: transformer from timestep " << 1000 * *index.boundary_ratio
           << " on, transformer_2 below\n";
  } catch (const Error& error) {
    text << "  cannot be run: " << error.what() << "\n";
  }
  return text.str();
}

// "  sampler: unipc, 20 steps, shift 5, guidance 3", and the size that the model was trained on.
std::string describe_sampler(const fs::path& folder) {
  std::ostringstream text;
  try {
    if (const fs::path file = folder / "scheduler" / "scheduler_config.json"; fs::exists(file)) {
      const SamplerConfig config = load_sampler_config(file);
      text << "  sampler: " << name_of(config.solver) << ", " << count_of(config.steps, "step") << ", shift "
           << config.shift << ", guidance " << config.guidance;
      if (config.guidance_2) text << " and " << *config.guidance_2;
      text << "\n";
    }
    if (const auto size = model_size(folder)) text << "  size: " << join(*size, "x") << "\n";
  } catch (const Error& error) {
    text << "  cannot be read: " << error.what() << "\n";
  }
  return text.str();
}

std::string describe_folder(const fs::path& folder) {
  std::string parts;
  for (const auto& part : kChoices<ModelPart>)
    if (fs::is_directory(folder / part.name) && holds_safetensors(folder / part.name))
      parts += describe_part(folder, part.value);
  if (fs::exists(folder / "tokenizer" / "spiece.model"))
    parts += "  tokenizer: " + format_bytes(static_cast<double>(fs::file_size(folder / "tokenizer" / "spiece.model"))) +
             "\n";
  if (!parts.empty()) {
    parts += describe_sampler(folder) + describe_pipeline(folder);
    for (const std::string& part : missing_parts(folder)) parts += "  missing: " + part + "\n";
    return folder.string() + ": a model folder\n" + parts;
  }
  if (holds_safetensors(folder, "shard-")) return describe_shards(folder);
  check(holds_safetensors(folder), folder.string(),
        ": neither a model folder (transformer, text_encoder, tokenizer, vae) nor one with safetensors");
  const std::string advice = original_wan_advice(folder);
  const auto adapter = adapter_facts(folder);  // PEFT's
  return folder.string() + ": " + (adapter ? adapter_text(*adapter) + "\n  " : "") +
         summary(count_weights(Safetensors(folder))) + "\n" + (advice.empty() ? "" : "  " + advice + "\n");
}

std::string describe_script(const fs::path& path) {
  const Script script = load_script(path);
  const auto shots = script.latent_shot_frames(kWanPixelsPerToken);
  int64_t latent = 0;
  for (const int64_t frames : shots) latent += frames;
  std::ostringstream text;
  text << path.string() << ": script \"" << script.title << "\", " << script.size[0] << "x" << script.size[1] << ", "
       << count_of(static_cast<int64_t>(shots.size()), "shot") << " of " << join(shots, " + ") << " latent frames, "
       << count_of(kWanPixelsPerToken.pixel_frames(latent), "frame") << " at " << script.fps << " frames per second\n";
  return text.str();
}

// A file's metadata, and a summary of the script that it contains.
std::string describe_tags(const MediaTags& tags) {
  std::string text;
  if (!tags.title.empty()) text += "  title = " + on_one_line(tags.title) + "\n";
  if (!tags.tool.empty()) text += "  made by " + on_one_line(tags.tool) + "\n";
  const auto script = script_in(tags);
  if (!script && !tags.comment.empty()) text += "  comment = " + on_one_line(tags.comment) + "\n";
  if (!script) return text;
  const size_t model = tags.comment.find(", model "), end = tags.comment.find('\n');
  if (model < end) text += "  model = " + on_one_line(tags.comment.substr(model + 8, end - model - 8)) + "\n";
  return text + "  seed = " + std::to_string(script->seed) + ", " +
         count_of(static_cast<int64_t>(script->shot.size()), "shot") + "; moga info --reproduce writes the script\n";
}

std::string describe_video(const fs::path& path) {
  const VideoInfo info = open_video(path)->info();
  std::ostringstream text;
  text << path.string() << ": video, " << info.width << "x" << info.height << ", " << info.fps << " frames per second";
  if (info.frames > 0) text << ", " << count_of(info.frames, "frame");
  text << "\n" << describe_tags(info.tags);
  return text.str();
}

std::string describe_image(const fs::path& path) {
  const ImageInfo info = png_info(path);
  std::ostringstream text;
  text << path.string() << ": PNG picture, " << info.width << "x" << info.height << "\n" << describe_tags(info.tags);
  return text.str();
}

}  // namespace

std::string describe(const fs::path& path) {
  std::error_code error;
  const bool there = fs::exists(path, error);
  check(there, path.string(), ": ", error ? error.message() : "no such file or folder");
  if (fs::is_directory(path)) return describe_folder(path);
  const std::string extension = path.extension().string();
  if (extension == ".safetensors" || path.string().ends_with(".safetensors.index.json")) return describe_tensors(path);
  check(extension != ".pth" && extension != ".pt" && extension != ".ckpt", path.string(),
        ": is a PyTorch pickle; only safetensors are read, tools/convert_wan.py makes a model folder of an original "
        "Wan repository");
  if (extension == ".toml") return describe_script(path);
  if (extension == ".png") return describe_image(path);
  return describe_video(path);
}

}  // namespace moga
