// The commands and options of the program as plain values, read from CLI11: what shell completion and manual pages are
// made of.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace moga {

struct OptionText {
  std::vector<std::string> names;  // "--size", "-h"; empty: positional
  std::string value;               // "TEXT", "INT=3"; empty: a flag
  std::string help;
  std::string positional;  // "SCRIPT"

  bool flag() const { return value.empty() && positional.empty(); }
};

struct CommandText {
  std::string path;  // " bench attention"; empty: the program itself
  std::string help;  // one line
  std::string text;  // the manual after the options
  std::vector<OptionText> options;
  std::vector<CommandText> commands;
};

CommandText command_tree(const CLI::App& app);

// The command and all below it, in order.
std::vector<CommandText> all_commands(const CommandText& tree);

}  // namespace moga
