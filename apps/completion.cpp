// moga completion: scripts that complete commands and options in bash, zsh and fish, from the program's own options.
//
// Each script walks the words before the cursor to the innermost command and offers its commands or options; other
// words are file names.
#include <iostream>
#include <memory>

#include "apps/command_tree.h"
#include "apps/commands.h"
#include "moga/core/choice.h"

namespace moga {

enum class Shell { kBash, kZsh, kFish };
template <>
inline constexpr auto kChoices<Shell> = std::array{
    Choice{Shell::kBash, "bash", "source it from ~/.bashrc, or put it in /etc/bash_completion.d"},
    Choice{Shell::kZsh, "zsh", "a file named _moga in a folder of $fpath"},
    Choice{Shell::kFish, "fish", "~/.config/fish/completions/moga.fish"},
};

namespace {

constexpr const char* kManual = R"(Prints a script that completes the commands and options of this program.

Example:
  moga completion bash > /etc/bash_completion.d/moga
  moga completion zsh > ~/.zsh/completions/_moga
  moga completion fish > ~/.config/fish/completions/moga.fish)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

// A word between single quotes. bash and zsh leave the quotes for an apostrophe, fish escapes it.
std::string in_quotes(const std::string& text, bool fish = false) {
  const std::string line = replaced(text, "\n", " ");
  if (fish) return "'" + replaced(replaced(line, "\\", "\\\\"), "'", "\\'") + "'";
  return "'" + replaced(line, "'", "'\\''") + "'";
}

std::string name_in(const CommandText& command) { return command.path.substr(command.path.rfind(' ') + 1); }

// `case "$place $word" in …`: a word that is a command leads further in.
std::string walk(const std::vector<CommandText>& commands) {
  std::string pattern;
  for (const CommandText& command : commands)
    if (!command.path.empty()) pattern += (pattern.empty() ? "" : " | ") + ("\"" + command.path + "\"");
  return "    case \"$place $word\" in\n      " + pattern + ") place=\"$place $word\" ;;\n    esac\n";
}

std::string bash(const std::vector<CommandText>& commands) {
  std::string script = "_moga() {\n  local current=${COMP_WORDS[COMP_CWORD]} place= word words=\n";
  script += "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n" + walk(commands) + "  done\n  case $place in\n";
  for (const CommandText& command : commands) {
    std::string words;
    for (const CommandText& below : command.commands) words += name_in(below) + " ";
    for (const OptionText& option : command.options)
      for (const std::string& name : option.names) words += name + " ";
    script += "    \"" + command.path + "\") words=" + in_quotes(words) + " ;;\n";
  }
  script += "  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n";
  script += "  [[ $current == -* || ${#COMPREPLY[@]} -gt 0 && -n $current ]] && return\n";
  return script + "  COMPREPLY+=($(compgen -f -- \"$current\"))\n}\ncomplete -o filenames -F _moga moga\n";
}

std::string zsh(const std::vector<CommandText>& commands) {
  std::string script = "#compdef moga\n_moga() {\n  local place= word\n  local -a entries\n";
  script += "  for word in ${words[2,CURRENT-1]}; do\n" + walk(commands) + "  done\n  case $place in\n";
  const auto entry = [](const std::string& name, const std::string& help) {
    return " " + in_quotes(replaced(name, ":", "\\:") + ":" + help);
  };
  for (const CommandText& command : commands) {
    script += "    \"" + command.path + "\") entries=(";
    for (const CommandText& below : command.commands) script += entry(name_in(below), below.help);
    for (const OptionText& option : command.options)
      for (const std::string& name : option.names) script += entry(name, option.help);
    script += ") ;;\n";
  }
  script += "  esac\n  _describe -o moga entries\n  [[ $PREFIX == -* ]] || _files\n}\n";
  return script + "if [[ $funcstack[1] == _moga ]]; then _moga \"$@\"; else compdef _moga moga; fi\n";
}

std::string fish_option(const OptionText& option) {
  std::string words;
  for (const std::string& name : option.names)
    words += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  return words + (option.flag() ? "" : " -r") + " -d " + in_quotes(option.help, true);
}

std::string fish(const std::vector<CommandText>& commands) {
  std::string script = "function __moga_at\n  set -l place ''\n  for word in (commandline -opc)[2..-1]\n";
  script += "    switch \"$place $word\"\n      case";
  for (const CommandText& command : commands)
    if (!command.path.empty()) script += " " + in_quotes(command.path, true);
  script += "\n        set place \"$place $word\"\n    end\n  end\n  test \"$place\" = \"$argv[1]\"\nend\n";
  for (const CommandText& command : commands) {
    const std::string at = "complete -c moga -n " + in_quotes("__moga_at " + in_quotes(command.path), true);
    for (const CommandText& below : command.commands)
      script += at + " -f -a " + name_in(below) + " -d " + in_quotes(below.help, true) + "\n";
    for (const OptionText& option : command.options)
      if (!option.names.empty()) script += at + fish_option(option) + "\n";
  }
  return script;
}

std::string script_for(Shell shell, const std::vector<CommandText>& commands) {
  switch (shell) {
    case Shell::kBash:
      return bash(commands);
    case Shell::kZsh:
      return zsh(commands);
    case Shell::kFish:
      return fish(commands);
  }
  fail("shell ", static_cast<int>(shell), " has no completion");
}

}  // namespace

void add_completion(CLI::App& app) {
  const auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Print a script that completes options in bash, zsh or fish");
  command->footer(kManual);
  command->add_option("SHELL", *shell, choice_help<Shell>())->required();
  command->callback([shell, &app] {
    std::cout << script_for(choice<Shell>("shell", *shell), all_commands(command_tree(app))) << std::flush;
  });
}

}  // namespace moga
