// Shot scripts: TOML → Script, validated. For a script read from a file, every message names the line of the shot or
// key that is wrong and says what would be right.
#include "moga/data/script.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/data/script_json.h"

namespace moga {
namespace {

// Bounds far beyond any model, so that a typing error is reported with its line.
constexpr int64_t kMostFps = 1000;
constexpr double kLongestShot = 86400;  // seconds
constexpr int64_t kMostFrames = 10'000'000;

// Of the shared config of Wan's own programs; their default.
constexpr const char* kWanNegative =
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，"
    "丑陋"
    "的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，"
    "杂乱"
    "的背景，三条腿，背景人很多，倒着走";

struct Problem {
  std::string key;    // the wrong key; a key of the shot, if `shot` is set
  int64_t shot = -1;  // counted from 0; -1: the script itself
  std::string text;
};

template <class... Parts>
std::optional<Problem> problem(const std::string& key, int64_t shot, const Parts&... parts) {
  std::ostringstream text;
  if (shot >= 0) text << "shot " << shot + 1 << ": ";
  (text << ... << parts);
  return Problem{key, shot, text.str()};
}

bool blank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; }

std::optional<Problem> find_problem(const Shot& shot, int64_t number) {
  if (blank(shot.caption)) return problem("caption", number, "the caption is empty; say what the shot shows");
  if (shot.duration && shot.frames) return problem("frames", number, "has both duration and frames; give one of them");
  if (!shot.duration && !shot.frames)
    return problem("", number, "has no length; give duration = seconds or frames = pixel frames");
  if (shot.duration && !(*shot.duration > 0 && *shot.duration <= kLongestShot))
    return problem("duration", number, "duration is ", *shot.duration, ", expected seconds above 0 and up to ",
                   kLongestShot);
  if (shot.frames && (*shot.frames < 1 || *shot.frames > kMostFrames))
    return problem("frames", number, "frames is ", *shot.frames, ", expected 1 to ", kMostFrames);
  for (const auto& [key, file] : {std::pair{"image", &shot.image}, {"last_image", &shot.last_image}})
    if (*file && blank(**file)) return problem(key, number, key, " is empty; name a PNG or JPEG, or remove the line");
  return std::nullopt;
}

std::optional<Problem> find_size_problem(const Script& script, const Strides& pixels) {
  if (script.size.size() != 2)
    return problem("size", -1, "size has ", script.size.size(), " numbers, expected [width, height]");
  for (size_t i = 0; i < 2; ++i) {
    const int64_t side = script.size[i], stride = i == 0 ? pixels.columns : pixels.rows;
    if (side >= stride && side <= kLargestSide && side % stride == 0) continue;
    return problem("size", -1, "size is [", script.size[0], ", ", script.size[1], "], expected ", pixels.multiples(),
                   " from ", stride, " to ", kLargestSide, "; the nearest to ", side, " is ",
                   (std::clamp(side, stride, kLargestSide) + stride / 2) / stride * stride);
  }
  return std::nullopt;
}

std::optional<Problem> find_problem(const Script& script, const Strides& pixels) {
  if (auto found = find_size_problem(script, pixels)) return found;
  if (script.fps < 1 || script.fps > kMostFps)
    return problem("fps", -1, "fps is ", script.fps, ", expected 1 to ", kMostFps);
  if (script.negative != Negative::kNone && !script.negative_prompt.empty())
    return problem("negative", -1, "has both negative and negative_prompt; give one of them");
  if (script.shot.empty()) return problem("", -1, "the script has no shot; add [[shot]] with caption and duration");
  for (size_t i = 0; i < script.shot.size(); ++i)
    if (auto found = find_problem(script.shot[i], static_cast<int64_t>(i))) return found;
  return std::nullopt;
}

// Read without validation, so that a wrong value can be reported with its line.
struct UncheckedScript : Script {
  void validate() const {}
};

uint32_t line_of(const toml::table& file, const Problem& problem) {
  const toml::node* node = &file;
  if (problem.shot >= 0) node = file["shot"][static_cast<size_t>(problem.shot)].node();
  if (const toml::table* table = node->as_table(); table && table->contains(problem.key))
    node = table->get(problem.key);
  return node->source().begin.line;
}

}  // namespace

void Script::validate(const Strides& pixels_per_token) const {
  if (const auto found = find_problem(*this, pixels_per_token)) fail(found->text);
}

std::vector<std::string> Script::captions() const {
  std::vector<std::string> result;
  for (const Shot& one : shot)
    result.push_back(global_caption && !blank(*global_caption) ? *global_caption + " " + one.caption : one.caption);
  return result;
}

std::string Script::negative_text() const { return negative == Negative::kWan ? kWanNegative : negative_prompt; }

std::vector<int64_t> Script::latent_shot_frames(const Strides& strides) const {
  const auto stride = static_cast<double>(strides.frames);
  std::vector<int64_t> result;
  double pixels = 0;
  int64_t begin = 0;
  for (const Shot& one : shot) {
    pixels += one.frames ? static_cast<double>(*one.frames) : *one.duration * static_cast<double>(fps);
    const int64_t end = std::max<int64_t>(begin + 1, 1 + std::llround((pixels - 1) / stride));
    result.push_back(end - begin);
    begin = end;
  }
  return result;
}

std::string Script::frame_note(const Strides& strides) const {
  double asked = 0;
  int64_t given = 0;
  std::string shots;
  for (size_t i = 0; const int64_t latent : latent_shot_frames(strides)) {
    const Shot& one = shot[i];
    const int64_t frames = strides.frames * latent - (i++ == 0 ? strides.frames - 1 : 0);
    asked += one.frames ? static_cast<double>(*one.frames) : *one.duration * static_cast<double>(fps);
    given += frames;
    shots += (shots.empty() ? "" : " + ") + std::to_string(frames);
  }
  if (asked == static_cast<double>(given)) return "";
  std::ostringstream text;
  text << "the script asks for " << asked << " frames, the video has " << given
       << (shot.size() > 1 ? " (" + shots + ")" : "") << ": frames come as 1 + " << strides.frames
       << " k, cuts between two of these steps";
  return text.str();
}

Script load_script(const std::filesystem::path& path, const Strides& pixels_per_token) {
  const std::string text = read_text(path, kMostConfigBytes);
  Script script = parse_toml<UncheckedScript>(text, path.string());
  script.names_size = toml::parse(text).contains("size");
  script.folder = path.parent_path();
  if (const auto found = find_problem(script, pixels_per_token))
    fail(path.string(), ":", line_of(toml::parse(text), *found), ": ", found->text);
  return script;
}

Script parse_script_json(const std::string& text, const std::string& source) {
  Script script = parse_json<UncheckedScript>(text, source);
  script.names_size = parse_json_object(text, source).contains("size");
  return script;
}

std::string script_json(const Script& script) { return to_json(script); }

}  // namespace moga
