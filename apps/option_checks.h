// Checks that hold for every option of every command.
#pragma once

#include <CLI/CLI.hpp>

namespace moga {

// An option that takes a whole number refuses one beyond 64 bits, which CLI11 would turn into the largest of them, and
// says the range.
void check_whole_numbers(CLI::App& app);

}  // namespace moga
