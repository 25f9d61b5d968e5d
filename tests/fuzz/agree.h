// Whether what a reader made of a file is what the file says: the check behind "no success that used something else
// than it was given".
#pragma once

#include <nlohmann/json.hpp>

#include <set>
#include <stdexcept>
#include <string>

namespace moga::test {

// A reader accepted a file and used something else.
struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws Wrong unless every value in `given` is the one in `used`, or is null where `used` has a default, and every key
// of `given` is one of `used`, is in `foreign`, or begins with "_". Numbers are compared as doubles.
void check_agrees(const nlohmann::json& given, const nlohmann::json& used, const std::set<std::string>& foreign = {},
                  const std::string& place = "");

}  // namespace moga::test
