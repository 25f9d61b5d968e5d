#include "moga/serve/request.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>

#include "moga/core/checksum.h"
#include "moga/core/config.h"
#include "moga/core/json_text.h"
#include "moga/data/script_json.h"
#include "moga/data/video/read_image.h"
#include "moga/serve/api_error.h"
#include "moga/serve/base64.h"

namespace moga {
namespace {

constexpr const char* kSource = "request";
constexpr double kSeconds = 4;           // of a prompt without a length, as OpenAI's and FastVideo's
constexpr size_t kLongestText = 32'000;  // bytes; OpenAI's longest prompt has as many letters

std::vector<int64_t> size_of(const std::string& text) {
  int64_t width = 0, height = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, width);
  const bool cross = first.ec == std::errc() && first.ptr != end && *first.ptr == 'x';
  const auto second = cross ? std::from_chars(first.ptr + 1, end, height) : first;
  if (!cross || second.ec != std::errc() || second.ptr != end)
    refuse("invalid_size", "size is ", quoted(text.substr(0, 40)), ", expected width x height, like \"832x480\"");
  return {width, height};
}

// OpenAI's clients send the seconds as text, forms send all numbers so, and a picture may be an object of its own.
std::string in_our_types(nlohmann::json body) {
  for (const char* key : {"seconds", "fps", "num_frames", "seed", "num_inference_steps", "guidance_scale"}) {
    const auto found = body.find(key);
    if (found == body.end() || !found->is_string()) continue;
    const std::string text = found->get<std::string>();
    const nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
    if (value.is_number()) *found = value;
  }
  if (const auto picture = body.find("input_reference");
      picture != body.end() && picture->is_object() && picture->size() == 1 && picture->contains("image_url"))
    *picture = nlohmann::json(picture->at("image_url"));
  return body.dump();
}

Script script_of(const PromptRequest& request, const RequestRules& rules) {
  if (request.model && *request.model != rules.model)
    refuse("model_not_found", "model is ", quoted(request.model->substr(0, 80)), ", this server has ",
           quoted(rules.model));
  if (request.seconds && request.num_frames)
    refuse("invalid_value", "has both seconds and num_frames; give one of them");
  Script script;
  Shot shot{request.prompt, std::nullopt, request.num_frames};
  if (!request.num_frames) shot.duration = request.seconds.value_or(kSeconds);
  shot.image = request.input_reference;
  script.shot = {shot};
  script.names_size = request.size.has_value();
  if (request.size) script.size = size_of(*request.size);
  if (request.fps) script.fps = *request.fps;
  if (request.seed) script.seed = *request.seed;
  script.negative_prompt = request.negative_prompt.value_or("");
  if (request.num_inference_steps)
    script.set.push_back("sampler.steps=" + std::to_string(*request.num_inference_steps));
  if (request.guidance_scale) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, *request.guidance_scale).ptr;
    script.set.push_back("sampler.guidance=" + std::string(text, end));
  }
  return script;
}

Script parse(const std::string& body, const RequestRules& rules) {
  const nlohmann::json object = parse_json_object(body, kSource);
  const bool prompt = object.contains("prompt"), shots = object.contains("shot");
  if (prompt && shots) refuse("invalid_value", "has both prompt and shot; give a prompt or a script");
  if (!prompt && !shots) refuse("invalid_value", "has neither prompt nor shot; give a prompt, or a script with shots");
  if (shots) return parse_script_json(body, kSource);
  const std::string text = in_our_types(object);
  return script_of(parse_json<PromptRequest>(text, kSource), rules);
}

void check_texts(const Script& script) {
  const auto check_text = [](const char* what, const std::string& text) {
    if (text.size() > kLongestText)
      refuse("text_too_long", what, " has ", text.size(), " bytes, expected at most ", kLongestText);
  };
  check_text("title", script.title);
  check_text("negative_prompt", script.negative_prompt);
  check_text("global_caption", script.global_caption.value_or(""));
  for (const Shot& shot : script.shot) check_text("a caption", shot.caption);
  for (const std::string& setting : script.set) check_text("set", setting);
}

// The film's latent tokens decide time and memory of a job.
int64_t check_length(const Script& script, const RequestRules& rules) {
  const std::vector<int64_t> shots = script.latent_shot_frames(rules.pixels);
  const int64_t latent = std::accumulate(shots.begin(), shots.end(), int64_t{0});
  const double tokens = static_cast<double>(latent) * static_cast<double>(script.size[0] / rules.pixels.columns) *
                        static_cast<double>(script.size[1] / rules.pixels.rows);
  if (tokens > static_cast<double>(rules.most_tokens))
    refuse("video_too_large", "the video has ", static_cast<int64_t>(tokens),
           " latent tokens, this server generates up to ", rules.most_tokens, "; make it shorter or smaller");
  const std::vector<int64_t> pixels = rules.pixels.pixel_shot_frames(shots);
  return std::accumulate(pixels.begin(), pixels.end(), int64_t{0});
}

// A file in memory, for readers that want a path.
class MemoryFile {
 public:
  explicit MemoryFile(const std::string& content) : descriptor_(memfd_create("picture", MFD_CLOEXEC)) {
    check(descriptor_ >= 0, "no memory for a picture: ", std::strerror(errno));
    for (size_t at = 0; at < content.size();) {
      const ssize_t count = write(descriptor_, content.data() + at, content.size() - at);
      if (count <= 0) break;  // the reader reports what is missing
      at += static_cast<size_t>(count);
    }
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

// Throws unless it can be read. One at a time: a small file can have many pixels.
void check_picture(const std::string& bytes, const std::string& name) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  const MemoryFile file(bytes);
  try {
    read_image(file.path());
  } catch (const Error& error) {
    const std::string text = error.what(), path = file.path() + ": ";
    refuse("invalid_image", name, ": ", text.starts_with(path) ? text.substr(path.size()) : text);
  }
}

// Replaces a data URL by the name of a picture, which is read once to see that it can be.
void take_picture(std::optional<std::string>& image, const std::string& name, VideoJobRequest& request) {
  if (!image) return;
  const auto picture = picture_of(*image);
  if (!picture)
    refuse("invalid_image", name, " is ", quoted(image->substr(0, 40)),
           ", expected a data URL of a PNG or JPEG, like \"data:image/png;base64,…\"");
  check_picture(picture->bytes, name);
  image = name + "-" + text_checksum(picture->bytes) + picture->extension;  // other pictures make another script
  request.pictures[*image] = picture->bytes;
}

void take_pictures(VideoJobRequest& request) {
  for (size_t i = 0; i < request.script.shot.size(); ++i) {
    Shot& shot = request.script.shot[i];
    take_picture(shot.image, "image-" + std::to_string(i + 1), request);
    take_picture(shot.last_image, "last-image-" + std::to_string(i + 1), request);
  }
}

}  // namespace

VideoJobRequest read_request(const std::string& body, const RequestRules& rules) {
  try {
    VideoJobRequest request;
    request.script = parse(body, rules);
    Script& script = request.script;
    if (!script.names_size) script.size = rules.size;
    script.names_size = true;
    check_texts(script);
    script.validate(rules.pixels);
    request.frames = check_length(script, rules);
    take_pictures(request);
    if (rules.check) rules.check(script);
    return request;
  } catch (const ApiError&) {
    throw;
  } catch (const Error& error) {
    refuse("invalid_request", error.what());
  }
}

}  // namespace moga
