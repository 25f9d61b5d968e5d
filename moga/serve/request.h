// The body of POST /v1/videos → a checked script and its pictures.
//
// Two kinds of JSON, both read as strictly as a config:
//
//   {"prompt": "…", "seconds": 4, "size": "832x480", …}   OpenAI's, with FastVideo's further keys (PromptRequest)
//   {"title": "…", "shot": [{"caption": "…", "duration": 2}, …], …}   a shot script, the keys of its TOML file
//
// A client has no files here: `image`, `last_image` and `input_reference` are data URLs.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "moga/data/script.h"

namespace moga {

// One shot from one prompt.
struct PromptRequest {
  std::string prompt;
  std::optional<std::string> model;  // must be the one that is served
  std::optional<double> seconds;     // default: 4
  std::optional<std::string> size;   // "832x480"
  std::optional<int64_t> fps, num_frames, seed;
  std::optional<std::string> negative_prompt;
  std::optional<int64_t> num_inference_steps;
  std::optional<double> guidance_scale;
  std::optional<std::string> input_reference;  // the first frame

  template <class Fields>
  void fields(Fields& field) {
    field("prompt", prompt, "what the video shows");
    field("model", model, "name of the model");
    field("seconds", seconds, "duration");
    field("size", size, "width x height in pixels");
    field("fps", fps, "frames per second");
    field("num_frames", num_frames, "pixel frames, instead of seconds");
    field("seed", seed, "seed of the noise");
    field("negative_prompt", negative_prompt, "what guidance steers away from");
    field("num_inference_steps", num_inference_steps, "sampler steps");
    field("guidance_scale", guidance_scale, "classifier-free guidance scale");
    field("input_reference", input_reference, "picture of the first frame, a data URL");
  }
};

struct RequestRules {
  std::string model;                       // name of the model that is served
  Strides pixels = kWanPixelsPerToken;     // per token
  std::vector<int64_t> size = {832, 480};  // of a script that names none
  int64_t most_tokens = 600'000;           // latent tokens of a film
  // What else is wrong with a script, such as settings that the model does not have: throws Error.
  std::function<void(const Script&)> check = {};
};

struct VideoJobRequest {
  Script script;  // images are names of pictures
  int64_t frames = 0;
  std::map<std::string, std::string> pictures;  // file name → content
};

// Throws ApiError, 400.
VideoJobRequest read_request(const std::string& body, const RequestRules& rules);

}  // namespace moga
