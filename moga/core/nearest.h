// Suggests the name that was probably meant, for messages about unknown keys, options and commands.
#pragma once

#include <string>
#include <vector>

namespace moga {

// The entry of `known` with the smallest edit distance from `name`; empty if none is close (more than 2 edits and more
// than a third of its length).
std::string nearest(const std::string& name, const std::vector<std::string>& known);

// "; did you mean 'steps'?", or nothing.
std::string did_you_mean(const std::string& name, const std::vector<std::string>& known);

}  // namespace moga
