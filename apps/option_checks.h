// Checks that hold for every option of every command.
#pragma once

#include <CLI/CLI.hpp>

namespace moga {

// Makes options that take a whole number refuse values outside of their range, which the message names: that of the
// option where all commands have the same, as --steps, else 64 bits, to which CLI11 alone would clamp them.
void check_whole_numbers(CLI::App& app);

}  // namespace moga
