// Errors of the HTTP interface, as OpenAI's clients read them: {"error": {"message", "type", "code"}}.
#pragma once

#include <string>

#include "moga/core/check.h"

namespace moga {

class ApiError : public Error {
 public:
  ApiError(int status, const std::string& code, const std::string& message)
      : Error(message), status_(status), code_(code) {}

  int status() const { return status_; }  // of HTTP
  // {"error": {…}}; the type follows from the status.
  std::string json() const;

 private:
  int status_;
  std::string code_;
};

// A request that is wrong: 400.
template <class... Parts>
[[noreturn]] void refuse(const std::string& code, const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw ApiError(400, code, message.str());
}

}  // namespace moga
