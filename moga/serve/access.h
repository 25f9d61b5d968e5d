// Who may use the server.
//
// With a token: whoever sends "Authorization: Bearer TOKEN". Without one the server listens on this machine only, and a
// request must name this machine as its host and come from the server's own page: otherwise any web page that a browser
// on this machine shows could use the server.
#pragma once

#include <filesystem>
#include <string>

namespace moga {

struct RequestSource {
  std::string authorization, host, origin;  // headers; empty: absent
};

class Access {
 public:
  // `token`: empty: none.
  explicit Access(std::string token) : token_(std::move(token)) {}

  bool needs_token() const { return !token_.empty(); }
  void check_token(const RequestSource& source) const;   // throws ApiError, 401
  void check_source(const RequestSource& source) const;  // throws ApiError, 403

 private:
  std::string token_;
};

// The one line of a file: 16 to 512 printable characters without spaces.
std::string load_token(const std::filesystem::path& path);

// Whether only programs of this machine reach a server on `host`: 127.0.0.1, ::1, localhost.
bool is_loopback(const std::string& host);

// Takes as long for every `given` of the same length, wherever it differs.
bool same_secret(const std::string& given, const std::string& secret);

}  // namespace moga
