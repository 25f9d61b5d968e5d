// See model_index.h.
#include "moga/model/model_index.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/model/registry.h"

namespace moga {
namespace {

using nlohmann::json;

constexpr const char* kPipeline = "WanPipeline";
constexpr const char* kTwoExperts = "Wan2.2's two experts, only models of one transformer are supported";

struct Named {
  std::string_view name;
  const char* means;
};

constexpr std::array kPipelines = {
    Named{"WanImageToVideoPipeline", "an image-to-video model"},
    Named{"WanVACEPipeline", "VACE, for controlled generation"},
    Named{"WanVideoToVideoPipeline", "a video-to-video pipeline"},
    Named{"WanAnimatePipeline", "Wan2.2-Animate"},
    Named{"SkyReelsV2Pipeline", "SkyReels-V2"},
    Named{"SkyReelsV2DiffusionForcingPipeline", "SkyReels-V2's diffusion forcing"},
};

// Settings and parts of WanPipeline beyond Wan2.1's.
constexpr std::array kBeyond = {
    Named{"transformer_2", kTwoExperts},
    Named{"boundary_ratio", kTwoExperts},
    Named{"expand_timesteps", "Wan2.2-TI2V-5B, whose frames have timesteps of their own"},
    Named{"image_encoder", "an image-to-video model"},
    Named{"image_processor", "an image-to-video model"},
};

struct Part {
  const char* name;
  std::vector<std::string> classes;
};

// T5TokenizerFast and T5Tokenizer read the same spiece.model.
const std::array<Part, 5>& parts() {
  static const std::array<Part, 5> parts = {{
      {"transformer", video_model_classes()},
      {"text_encoder", {"UMT5EncoderModel"}},
      {"tokenizer", {"T5TokenizerFast", "T5Tokenizer", "AutoTokenizer"}},
      {"vae", codec_classes()},
      {"scheduler", {"UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler"}},
  }};
  return parts;
}

// "; this is an image-to-video model", where the name tells.
template <class Table>
std::string meaning(const std::string& name, const Table& table) {
  for (const Named& named : table)
    if (named.name == name) return std::string("; this is ") + named.means;
  return "";
}

// Absent in diffusers' way: null, [null, null] or false.
bool is_absent(const json& value) {
  return value.is_null() || value == false || value == json::array({nullptr, nullptr});
}

void check_part(const Part& part, const json& value, const std::string& source) {
  const bool pair = value.is_array() && value.size() == 2 && value[1].is_string();
  check(pair, source, ": ", part.name, ": expected [library, class], found ", printable(value.dump()));
  const std::string name = value[1];
  std::string expected;
  for (const std::string& known : part.classes) expected += (expected.empty() ? "" : ", ") + known;
  check(std::ranges::count(part.classes, name) > 0, source, ": ", part.name, " is a ", printable(name), ", expected ",
        expected);
}

void check_member(const std::string& key, const json& value, const std::string& source) {
  if (key.starts_with("_") || is_absent(value)) return;
  const auto part = std::ranges::find_if(parts(), [&](const Part& known) { return known.name == key; });
  if (part != parts().end()) return check_part(*part, value, source);
  fail(source, ": ", printable(key), " = ", printable(value.dump()), " is not supported", meaning(key, kBeyond));
}

}  // namespace

void check_model_index(const std::filesystem::path& folder) {
  check(!std::filesystem::exists(folder / "transformer_2"), folder.string(), ": has a transformer_2: ", kTwoExperts);
  const std::filesystem::path path = folder / "model_index.json";
  if (!std::filesystem::exists(path)) return;
  const std::string source = path.string();
  const json index = parse_json_object(read_text(path, kMostConfigBytes), source);
  const std::string pipeline = text_member(index, "_class_name", source);
  check(pipeline == kPipeline, source, ": _class_name = ", printable(pipeline), ", expected ", kPipeline,
        meaning(pipeline, kPipelines));
  for (const auto& [key, value] : index.items()) check_member(key, value, source);
}

}  // namespace moga
