// See model_index.h.
#include "moga/model/model_index.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/core/log_line.h"
#include "moga/model/registry.h"

namespace moga {
namespace {

using nlohmann::json;

struct Part {
  const char* name;
  std::vector<std::string> classes;
};

// T5TokenizerFast and T5Tokenizer read the same spiece.model.
const std::array<Part, 8>& parts() {
  static const std::array<Part, 8> parts = {{
      {"transformer", video_model_classes()},
      {"transformer_2", video_model_classes()},
      {"image_encoder", {"CLIPVisionModel", "CLIPVisionModelWithProjection"}},
      {"image_processor", {"CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil"}},
      {"text_encoder", {"UMT5EncoderModel"}},
      {"tokenizer", {"T5TokenizerFast", "T5Tokenizer", "AutoTokenizer"}},
      {"vae", codec_classes()},
      {"scheduler", {"UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler"}},
  }};
  return parts;
}

// "; this is an image-to-video model", where the name tells.
std::string meaning(const std::string& name) {
  const std::string means = meaning_of_unsupported(name);
  return means.empty() ? "" : "; this is " + means;
}

// "A, B"
std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// Absent in diffusers' way: null, [null, null] or false.
bool is_absent(const json& value) {
  return value.is_null() || value == false || value == json::array({nullptr, nullptr});
}

void check_part(const Part& part, const json& value, const std::string& source) {
  const bool pair = value.is_array() && value.size() == 2 && value[1].is_string();
  check(pair, source, ": ", part.name, ": expected [library, class], found ", printable(value.dump()));
  const std::string name = value[1];
  check(std::ranges::count(part.classes, name) > 0, source, ": ", part.name, " is a ", printable(name), ", expected ",
        listed(part.classes));
}

void check_member(const std::string& key, const json& value, const std::string& source) {
  if (key.starts_with('_') || is_absent(value)) return;
  const auto part = std::ranges::find_if(parts(), [&](const Part& known) { return known.name == key; });
  if (part != parts().end()) return check_part(*part, value, source);
  if (key == "boundary_ratio") return;
  if (key == "expand_timesteps")
    return check(value.is_boolean(), source, ": expand_timesteps = ", printable(value.dump()),
                 ", expected true or false");
  fail(source, ": ", printable(key), " = ", printable(value.dump()), " is not supported", meaning(key));
}

// What encodes images, in the folder of a pipeline that takes none: diffusers warns and does not load it.
void note_unused_parts(const json& index, const std::string& pipeline, const std::string& source) {
  for (const char* name : {"image_encoder", "image_processor"})
    if (index.contains(name) && !is_absent(index[name]))
      log_once(source + name, source + ": names an " + name + ", for which " + pipeline +
                                  " (text to video) has no use; it is not read");
}

// Of two experts; empty with one. Both or neither of transformer_2 and boundary_ratio.
std::optional<double> boundary_of(const json& index, const std::string& source) {
  const auto given = [&](const char* key) { return index.contains(key) && !is_absent(index[key]); };
  if (!given("transformer_2") && !given("boundary_ratio")) return std::nullopt;
  for (const auto& [there, missing] :
       {std::pair{"transformer_2", "boundary_ratio"}, {"boundary_ratio", "transformer_2"}})
    check(given(missing), source, ": has ", there, " and no ", missing, ", expected both, or neither");
  const double ratio = number_member(index, "boundary_ratio", source);
  check(ratio > 0 && ratio < 1, source, ": boundary_ratio = ", ratio, ", expected a number between 0 and 1");
  return ratio;
}

}  // namespace

ModelIndex load_model_index(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "model_index.json";
  const bool second = std::filesystem::exists(folder / "transformer_2");
  if (!std::filesystem::exists(path)) {
    check(!second, folder.string(), ": has a transformer_2, but no model_index.json with its boundary_ratio");
    return {};
  }
  const std::string source = path.string();
  const json index = parse_json_object(read_text(path, kMostConfigBytes), source);
  const std::string pipeline = text_member(index, "_class_name", source);
  const std::vector<std::string> known = pipeline_classes();
  check(std::ranges::count(known, pipeline) > 0, source, ": _class_name = ", printable(pipeline), ", expected ",
        listed(known), meaning(pipeline));
  for (const auto& [key, value] : index.items()) check_member(key, value, source);
  if (!is_image_pipeline(pipeline)) note_unused_parts(index, pipeline, source);
  const ModelIndex result{boundary_of(index, source), is_image_pipeline(pipeline),
                          index.value("expand_timesteps", json()) == true};
  check(!second || result.two_experts(), source, ": names no transformer_2, but the folder has one");
  return result;
}

}  // namespace moga
