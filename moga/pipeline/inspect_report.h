// An inspection in numbers: JSON for programs, a table for people, and one line for each router that has collapsed.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

#include "moga/pipeline/inspect.h"

namespace moga {

// Without maps and pictures; docs/inspect.md names every key.
nlohmann::json inspection_json(const Inspection& inspection);

// One row per layer, means over the observed steps; for a story, the overlap with its masks below.
std::string inspection_table(const Inspection& inspection);

// "layer 3: the router has collapsed in 2 of 4 steps: group 1 has up to 99.8 % of the tokens (even: 20.0 %)"
std::vector<std::string> inspection_findings(const Inspection& inspection);

}  // namespace moga
