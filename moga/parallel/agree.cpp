// Gathers the claims as text and compares them with rank 0's. See agree.h.
#include "moga/parallel/agree.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>

#include "moga/parallel/rank_environment.h"

namespace moga {
namespace {

using Json = nlohmann::json;

// Bytes that are not UTF-8 are replaced: json refuses them.
std::string as_text(const std::vector<Claim>& claims) {
  Json list = Json::array();
  for (const Claim& claim : claims) list.push_back({claim.what, claim.value});
  return Json{{"host", host_name()}, {"claims", list}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The part of a line from a little before `at`.
std::string quoted(const std::string& line, size_t at) {
  constexpr size_t kBefore = 40, kLongest = 80;
  const size_t begin = at > kBefore ? at - kBefore : 0;
  const std::string part = line.substr(std::min(begin, line.size()), kLongest);
  return "'" + std::string(begin > 0 ? "…" : "") + part + (begin + part.size() < line.size() ? "…'" : "'");
}

// What two texts say where they first differ.
std::pair<std::string, std::string> first_difference(const std::string& a, const std::string& b) {
  std::istringstream lines_a(a), lines_b(b);
  std::string line_a, line_b;
  do {
    if (!std::getline(lines_a, line_a)) line_a = "";
    if (!std::getline(lines_b, line_b)) line_b = "";
  } while (line_a == line_b && (lines_a || lines_b));
  const auto differs = std::mismatch(line_a.begin(), line_a.end(), line_b.begin(), line_b.end()).first;
  const size_t at = differs - line_a.begin();
  return {quoted(line_a, at), quoted(line_b, at)};
}

// Nothing where the claims are the same.
std::string difference(const Json& own, const Json& other) {
  if (own.size() != other.size()) return std::to_string(own.size()) + " claims and " + std::to_string(other.size());
  for (size_t i = 0; i < own.size(); ++i) {
    if (own[i] == other[i]) continue;
    const std::string what = own[i][0] == other[i][0] ? own[i][0] : Json("kind of claim");
    const auto [mine, others] = first_difference(own[i][1], other[i][1]);
    return what + ": " + others + ", rank 0 has " + mine;
  }
  return "";
}

}  // namespace

void agree(const ProcessGroup& group, const std::vector<Claim>& claims) {
  if (group.size() == 1) return;
  const std::vector<std::string> texts = group.all_gather_text(as_text(claims));
  const Json first = Json::parse(texts[0]);
  for (size_t rank = 1; rank < texts.size(); ++rank) {
    const Json other = Json::parse(texts[rank]);
    const std::string found = difference(first["claims"], other["claims"]);
    if (found.empty()) continue;
    const std::string line =
        "rank " + std::to_string(rank) + " on " + other["host"].get<std::string>() + " has another " + found;
    if (group.rank() == 0) fail(line);
    throw PeerFailure(line);
  }
}

}  // namespace moga
