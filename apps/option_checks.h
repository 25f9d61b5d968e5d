// Checks that hold for every option of every command.
#pragma once

#include <CLI/CLI.hpp>

namespace moga {

// Makes options that take a whole number refuse values beyond 64 bits, naming the range. CLI11 alone would clamp them.
void check_whole_numbers(CLI::App& app);

}  // namespace moga
