// Captions from a vision-language model behind an endpoint that speaks OpenAI's chat protocol: POST …/chat/completions
// with a text and pictures as data URLs. vLLM, llama.cpp's server, LM Studio and hosted services do.
//
// A request is repeated, with pauses that double from one second on (or as the server asks), when the server answers
// 408, 409, 425, 429 or 5xx, or does not answer. Any other answer is an error at once. The key is read from the
// environment; it is in no message, also where the server repeats it.
#pragma once

#include <mutex>
#include <string>
#include <vector>

namespace moga {

struct CaptionerConfig {
  std::string endpoint, model, key_variable;
  int64_t max_tokens = 300;
  double temperature = 0;
  double requests_per_minute = 0;  // 0: no limit
  double timeout = 120;            // seconds
  int64_t retries = 5;
  double first_pause = 1;  // seconds before the first repetition
};

struct CaptionAnswer {
  std::string text;      // one line
  bool cut_off = false;  // the model reached max_tokens
};

class Captioner {
 public:
  // Throws when the endpoint is not an address.
  explicit Captioner(const CaptionerConfig& config);
  // `jpegs`: bytes of JPEG files. From any thread. Throws one line when there is no answer, Interrupted on a signal.
  CaptionAnswer describe(const std::string& prompt, const std::vector<std::string>& jpegs);

 private:
  CaptionAnswer parse(const std::string& body) const;
  void wait_for_turn();
  std::string without_key(std::string text) const;

  CaptionerConfig config_;
  std::string url_, key_;
  std::mutex mutex_;
  double next_turn_ = 0;  // seconds of the steady clock
};

}  // namespace moga
