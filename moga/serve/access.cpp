#include "moga/serve/access.h"

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/serve/api_error.h"

namespace moga {
namespace {

constexpr size_t kShortest = 16, kLongest = 512;

// "localhost:8080" → "localhost", "[::1]:8080" → "::1"
std::string host_name(const std::string& host) {
  if (host.starts_with('[')) return host.substr(1, std::max<size_t>(host.find(']'), 1) - 1);
  return host.substr(0, host.find(':'));
}

}  // namespace

bool same_secret(const std::string& given, const std::string& secret) {
  unsigned different = given.size() != secret.size();
  for (size_t i = 0; i < given.size(); ++i)
    different |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(secret[i % secret.size()]);
  return different == 0;
}

void Access::check_token(const RequestSource& source) const {
  constexpr std::string_view kScheme = "Bearer ";
  if (token_.empty()) return;
  const std::string& given = source.authorization;
  if (given.starts_with(kScheme) && same_secret(given.substr(kScheme.size()), token_)) return;
  throw ApiError(401, "invalid_token",
                 given.empty() ? "this server needs a token: Authorization: Bearer TOKEN" : "the token is wrong");
}

void Access::check_source(const RequestSource& source) const {
  if (needs_token()) return;
  if (!is_loopback(host_name(source.host)))
    throw ApiError(403, "wrong_host",
                   "the request's Host is not this machine; a server without a token serves it only");
  if (!source.origin.empty() && source.origin != "http://" + source.host)
    throw ApiError(403, "wrong_origin",
                   "the request comes from another page; a server without a token serves its own only");
}

std::string load_token(const std::filesystem::path& path) {
  std::string token = read_text(path, kMostConfigBytes);
  while (token.ends_with('\n') || token.ends_with('\r')) token.pop_back();
  check(token.size() >= kShortest && token.size() <= kLongest, path.string(), ": the token has ", token.size(),
        " characters, expected ", kShortest, " to ", kLongest, "; `openssl rand -hex 32` makes one");
  check(std::ranges::all_of(token, [](char letter) { return letter > 0x20 && letter < 0x7f; }), path.string(),
        ": expected one line of printable characters without spaces");
  return token;
}

bool is_loopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

}  // namespace moga
