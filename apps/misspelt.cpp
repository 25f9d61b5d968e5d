// See misspelt.h. CLI11 reports a missing option before an unknown one. Here the order is reversed, because the unknown
// option is probably the missing one, misspelt.
#include "apps/misspelt.h"

#include "moga/core/nearest.h"

namespace moga {
namespace {

// The command selected by the arguments: "moga bench model …" → model.
const CLI::App& innermost(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().back();
  return *command;
}

// "moga bench model"
std::string full_name(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return (parent ? full_name(*parent) + " " : "") + command.get_name();
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<std::string> command_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  return names;
}

}  // namespace

std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = innermost(app);
  const std::string manual = "; see " + full_name(command) + " --help";
  const std::vector<std::string> unknown = command.remaining(), commands = command_names(command);
  if (unknown.empty()) return error.what() + manual;
  const std::string word = unknown.front().substr(0, unknown.front().find('='));
  const bool is_option = word.starts_with('-');
  if (!is_option && commands.empty()) return error.what() + manual;
  const std::string meant = did_you_mean(word, is_option ? option_names(command) : commands);
  return (is_option ? "no option '" : "no command '") + word + "'" + (meant.empty() ? manual : meant);
}

}  // namespace moga
