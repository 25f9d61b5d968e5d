// What a command line that does not parse is told.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace moga {

// One line: the option or command that does not exist and the nearest one that does, or else what CLI11 says.
std::string explain(const CLI::App& app, const CLI::ParseError& error);

}  // namespace moga
