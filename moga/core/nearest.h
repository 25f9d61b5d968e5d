// The name that was probably meant: for messages about keys, options and commands that do not exist.
#pragma once

#include <string>
#include <vector>

namespace moga {

// The one of `known` with the least edits from `name`; empty when none is near (more than 2 edits and a third of it).
std::string nearest(const std::string& name, const std::vector<std::string>& known);

// "; did you mean 'steps'?", or nothing.
std::string did_you_mean(const std::string& name, const std::vector<std::string>& known);

}  // namespace moga
