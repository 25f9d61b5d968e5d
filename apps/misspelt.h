// Error messages for command lines that do not parse.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace moga {

// One line: the unknown option or command and the nearest known one, or otherwise CLI11's message.
std::string explain(const CLI::App& app, const CLI::ParseError& error);

}  // namespace moga
