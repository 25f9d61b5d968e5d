// The settings of stage caption: a model behind an endpoint that speaks OpenAI's protocol (vLLM, llama.cpp, LM Studio).
#pragma once

#include <cstdint>
#include <string>

namespace moga {

struct CaptionConfig {
  std::string endpoint, model, prompt, film_prompt;
  std::string key_variable = "OPENAI_API_KEY";
  bool replace = false;
  int64_t frames = 4;
  int64_t longest_side = 512;
  int64_t max_tokens = 300;
  double temperature = 0;
  int64_t parallel = 4;
  double requests_per_minute = 0;
  double timeout = 120;
  int64_t retries = 5;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("endpoint", endpoint, "address up to /v1, e.g. http://localhost:8000/v1; empty: no captions are made");
    field("model", model, "name of the model at the endpoint");
    field("prompt", prompt, "file with the text that is sent with the frames of a shot");
    field("film_prompt", film_prompt,
          "file with the text that is sent with the captions of a film's shots, for a caption of the whole film; "
          "empty: none");
    field("key_variable", key_variable, "environment variable with the endpoint's key; not set: none is sent");
    field("replace", replace, "caption also shots that have a caption");
    field("frames", frames, "frames per shot that are sent");
    field("longest_side", longest_side, "pixels of their longer side");
    field("max_tokens", max_tokens, "most tokens of a caption");
    field("temperature", temperature, "of the model's sampling");
    field("parallel", parallel, "requests at a time");
    field("requests_per_minute", requests_per_minute, "most requests begun in a minute; 0: no limit");
    field("timeout", timeout, "seconds that a request may take");
    field("retries", retries, "times that a request is repeated after a fault of the server or the network");
  }
};

}  // namespace moga
