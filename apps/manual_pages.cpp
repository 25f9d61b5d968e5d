// moga manual: the manual pages moga(1), moga-generate(1), … in troff, from the program's own options.
#include <filesystem>
#include <iostream>
#include <memory>

#include "apps/command_tree.h"
#include "apps/commands.h"
#include "moga/core/check.h"
#include "moga/core/files.h"

namespace moga {
namespace {

constexpr const char* kManual = R"(Writes one manual page per command into a folder.

Example:
  moga manual --out /usr/local/share/man/man1
  moga manual --out man && man -l man/moga-generate.1)";

// Text in which troff finds no commands: backslashes, hyphens and leading dots are plain characters.
std::string in_troff(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool leading = i == 0 || text[i - 1] == '\n';
    if (leading && (text[i] == '.' || text[i] == '\'')) result += "\\&";
    if (text[i] == '\\')
      result += "\\e";
    else if (text[i] == '-')
      result += "\\-";
    else
      result += text[i];
  }
  return result;
}

// "moga-bench-attention"
std::string page_name(const CommandText& command) {
  std::string name = "moga" + command.path;
  for (char& letter : name)
    if (letter == ' ') letter = '-';
  return name;
}

std::string option_entry(const OptionText& option) {
  std::string names;
  for (const std::string& name : option.names)
    names += (names.empty() ? "" : ", ") + ("\\fB" + in_troff(name) + "\\fR");
  if (names.empty()) names = "\\fI" + in_troff(option.positional) + "\\fR";
  if (!option.value.empty()) names += " \\fI" + in_troff(option.value) + "\\fR";
  return ".TP\n" + names + "\n" + in_troff(option.help) + "\n";
}

std::string synopsis(const CommandText& command) {
  std::string line = "\\fBmoga" + in_troff(command.path) + "\\fR";
  if (!command.commands.empty()) line += " \\fICOMMAND\\fR";
  if (!command.options.empty()) line += " [\\fIOPTIONS\\fR]";
  for (const OptionText& option : command.options)
    if (!option.positional.empty()) line += " \\fI" + in_troff(option.positional) + "\\fR";
  return line;
}

std::string page(const CommandText& command) {
  const std::string name = page_name(command);
  std::string text = ".TH " + name + " 1 \"\" \"moga " MOGA_VERSION "\"\n.SH NAME\n" + in_troff(name) + " \\- " +
                     in_troff(command.help) + "\n.SH SYNOPSIS\n" + synopsis(command) + "\n";
  if (!command.text.empty()) text += ".SH DESCRIPTION\n.nf\n" + in_troff(command.text) + "\n.fi\n";
  if (!command.options.empty()) text += ".SH OPTIONS\n";
  for (const OptionText& option : command.options) text += option_entry(option);
  if (!command.commands.empty()) text += ".SH COMMANDS\n";
  for (const CommandText& below : command.commands)
    text += ".TP\n\\fB" + in_troff(page_name(below)) + "\\fR(1)\n" + in_troff(below.help) + "\n";
  return text;
}

}  // namespace

void add_manual(CLI::App& app) {
  const auto folder = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("manual", "Write the manual pages of all commands");
  command->footer(kManual);
  command->add_option("--out", *folder, "folder for moga.1, moga-generate.1, …")->required();
  command->callback([folder, &app] {
    make_folder(*folder);
    for (const CommandText& each : all_commands(command_tree(app)))
      write_text(std::filesystem::path(*folder) / (page_name(each) + ".1"), page(each));
    std::cout << *folder << ": " << all_commands(command_tree(app)).size() << " manual pages" << std::endl;
  });
}

}  // namespace moga
