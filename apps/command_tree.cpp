// See command_tree.h.
#include "apps/command_tree.h"

namespace moga {
namespace {

OptionText option_text(const CLI::Option& option) {
  OptionText text{.names = {}, .value = {}, .help = option.get_description(), .positional = {}};
  for (const std::string& name : option.get_snames()) text.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) text.names.push_back("--" + name);
  if (text.names.empty()) {
    text.positional = option.get_name();
  } else if (option.get_items_expected_max() > 0) {
    const std::string initial = option.get_default_str();
    text.value = option.get_type_name() + (initial.empty() ? "" : "=" + initial);
  }
  return text;
}

CommandText command_text(const CLI::App& app, const std::string& path) {
  CommandText text{path, app.get_description(), app.get_footer(), {}, {}};
  for (const CLI::Option* option : app.get_options())
    if (!option->get_group().empty()) text.options.push_back(option_text(*option));
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    text.commands.push_back(command_text(*command, path + " " + command->get_name()));
  return text;
}

}  // namespace

CommandText command_tree(const CLI::App& app) { return command_text(app, ""); }

std::vector<CommandText> all_commands(const CommandText& tree) {
  std::vector<CommandText> all = {tree};
  for (const CommandText& command : tree.commands)
    for (CommandText& below : all_commands(command)) all.push_back(std::move(below));
  return all;
}

}  // namespace moga
