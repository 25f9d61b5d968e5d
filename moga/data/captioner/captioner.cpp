// Captions from an endpoint. See captioner.h.
#include "moga/data/captioner/captioner.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "moga/core/base64.h"
#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/core/json_text.h"
#include "moga/core/log.h"
#include "moga/data/captioner/http.h"

namespace moga {
namespace {

using nlohmann::json;

constexpr double kLongestPause = 60;  // seconds
constexpr size_t kMostQuoted = 200;   // bytes of an answer in a message

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Waits in short naps, so that a signal ends it.
void wait_until(double time) {
  while (now() < time) {
    stop_if_interrupted();
    std::this_thread::sleep_for(std::chrono::duration<double>(std::clamp(time - now(), 0.0, 0.1)));
  }
}

bool is_passing(const HttpAnswer& answer) {
  return answer.status == 0 || answer.status == 408 || answer.status == 409 || answer.status == 425 ||
         answer.status == 429 || answer.status >= 500;
}

std::string request_body(const CaptionerConfig& config, const std::string& prompt,
                         const std::vector<std::string>& jpegs) {
  json content = json::array();
  for (const std::string& jpeg : jpegs)
    content.push_back({{"type", "image_url"}, {"image_url", {{"url", "data:image/jpeg;base64," + base64(jpeg)}}}});
  content.push_back({{"type", "text"}, {"text", prompt}});
  json body = {{"messages", {{{"role", "user"}, {"content", content}}}},
               {"max_tokens", config.max_tokens},
               {"temperature", config.temperature}};
  if (!config.model.empty()) body["model"] = config.model;
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Words with one space between them.
std::string one_line(const std::string& text) {
  std::string line;
  bool space = false;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c))) {
      space = !line.empty();
      continue;
    }
    if (space) line += ' ';
    space = false;
    line += c;
  }
  return line;
}

}  // namespace

Captioner::Captioner(const CaptionerConfig& config) : config_(config), url_(config.endpoint) {
  const bool known = url_.starts_with("http://") || url_.starts_with("https://");
  check(known, "endpoint is '", url_, "', expected an address as http://localhost:8000/v1");
  const size_t host = url_.find("://") + 3;
  check(url_.substr(host, url_.find('/', host) - host).find('@') == std::string::npos,
        "endpoint has a name or password before '@'; put the key into the environment variable ", config.key_variable);
  while (url_.back() == '/') url_.pop_back();
  url_ += "/chat/completions";
  const char* key = config.key_variable.empty() ? nullptr : std::getenv(config.key_variable.c_str());
  if (key) key_ = key;
  check(key_.find_first_of("\r\n") == std::string::npos, "the key in ", config.key_variable, " has a line break");
}

std::string Captioner::without_key(std::string text) const {
  if (key_.empty()) return text;
  for (size_t at = 0; (at = text.find(key_, at)) != std::string::npos; at += 3) text.replace(at, key_.size(), "***");
  return text;
}

// Requests begin at least 60 / requests_per_minute seconds apart, over all threads.
void Captioner::wait_for_turn() {
  if (config_.requests_per_minute <= 0) return;
  double turn = 0;
  {
    const std::lock_guard lock(mutex_);
    turn = std::max(now(), next_turn_);
    next_turn_ = turn + 60 / config_.requests_per_minute;
  }
  wait_until(turn);
}

CaptionAnswer Captioner::describe(const std::string& prompt, const std::vector<std::string>& jpegs) {
  const HttpRequest request = {url_, request_body(config_, prompt, jpegs), key_, config_.timeout};
  double pause = config_.first_pause;
  for (int64_t attempt = 0;; ++attempt) {
    wait_for_turn();
    const HttpAnswer answer = http_post(request);
    if (answer.status == 200) return parse(answer.body);
    const std::string said = answer.status == 0 ? answer.problem
                                                : "status " + std::to_string(answer.status) + ", " +
                                                      quoted(without_key(answer.body).substr(0, kMostQuoted));
    check(is_passing(answer) && attempt<config_.retries, url_, ": ", said, attempt> 0
              ? " after " + std::to_string(attempt + 1) + " requests"
              : "");
    const double wait = std::min(kLongestPause, std::max(pause, answer.retry_after));
    log_info(url_, ": ", said, "; again in ", std::max<int64_t>(1, std::llround(wait)), " s");
    wait_until(now() + wait);
    pause = std::min(kLongestPause, 2 * pause);
  }
}

CaptionAnswer Captioner::parse(const std::string& body) const {
  CaptionAnswer answer;
  try {
    const json choice = json::parse(body).at("choices").at(0);
    const json& content = choice.at("message").at("content");
    if (content.is_string()) answer.text = one_line(without_key(content.get<std::string>()));
    answer.cut_off = choice.contains("finish_reason") && choice.at("finish_reason") == "length";
  } catch (const json::exception&) {
    fail(url_, ": the answer has no choices[0].message.content: ", quoted(without_key(body).substr(0, kMostQuoted)));
  }
  return answer;
}

}  // namespace moga
