// POST through libcurl. See http.h.
#include "moga/data/captioner/http.h"

#include "moga/core/check.h"
#include "moga/core/interrupt.h"

#ifdef MOGA_CURL
#include <curl/curl.h>

#include <memory>
#include <mutex>
#endif

namespace moga {

#ifdef MOGA_CURL
namespace {

constexpr size_t kMostAnswer = size_t{8} << 20;  // bytes

size_t add_to_body(char* data, size_t one, size_t count, void* body) {
  auto& text = *static_cast<std::string*>(body);
  if (text.size() + count > kMostAnswer) return 0;
  text.append(data, one * count);
  return one * count;
}

int stop_when_interrupted(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return interrupted() ? 1 : 0; }

using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

Headers headers_of(const HttpRequest& request) {
  Headers headers(curl_slist_append(nullptr, "Content-Type: application/json"), &curl_slist_free_all);
  if (!request.key.empty()) {
    const std::string line = "Authorization: Bearer " + request.key;
    headers.reset(curl_slist_append(headers.release(), line.c_str()));
  }
  // Without this libcurl waits a second for permission to send a large body.
  headers.reset(curl_slist_append(headers.release(), "Expect:"));
  check(headers != nullptr, "out of memory");
  return headers;
}

}  // namespace

HttpAnswer http_post(const HttpRequest& request) {
  static std::once_flag initialised;
  std::call_once(initialised, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  const Curl curl(curl_easy_init(), &curl_easy_cleanup);
  check(curl != nullptr, "libcurl cannot be initialised");
  const Headers headers = headers_of(request);
  HttpAnswer answer;
  const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl.get(), option, value); };
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTPHEADER, headers.get());
  set(CURLOPT_POSTFIELDS, request.body.data());
  set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout * 1000));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_USERAGENT, "moga");
  set(CURLOPT_WRITEFUNCTION, add_to_body);
  set(CURLOPT_WRITEDATA, &answer.body);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, stop_when_interrupted);
  const CURLcode code = curl_easy_perform(curl.get());
  stop_if_interrupted();
  if (code != CURLE_OK) {
    answer.problem = curl_easy_strerror(code);
    return answer;
  }
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  curl_off_t wait = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RETRY_AFTER, &wait);
  answer.retry_after = static_cast<double>(wait);
  return answer;
}

#else
HttpAnswer http_post(const HttpRequest& request) {
  fail(request.url, ": this build has no libcurl (MOGA_CURL=OFF), which requests need");
}
#endif

}  // namespace moga
