// The subcommand `moga evaluate films`.
#pragma once

#include <CLI/CLI.hpp>

namespace moga {

void add_evaluate_films(CLI::App& evaluate);

}  // namespace moga
