// One POST of JSON over HTTP or HTTPS. Certificates are checked, redirects are not followed, and a signal ends a
// request that waits (interrupt.h). Needs libcurl.
#pragma once

#include <string>

namespace moga {

struct HttpRequest {
  std::string url, body;
  std::string key;       // sent as "Authorization: Bearer KEY"; empty: no such header. It is in no message.
  double timeout = 120;  // seconds
};

struct HttpAnswer {
  long status = 0;         // 0: no answer came, `problem` says why
  double retry_after = 0;  // seconds that the server asks to wait; 0: it does not say
  std::string body, problem;
};

// Throws Interrupted when a signal arrives.
HttpAnswer http_post(const HttpRequest& request);

}  // namespace moga
