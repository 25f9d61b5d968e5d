// A shot script and what the command line sets over it: what `moga plan` and `moga generate` share.
#pragma once

#include <CLI/CLI.hpp>

#include <optional>
#include <string>

#include "apps/size_options.h"
#include "moga/data/script.h"

namespace moga {

struct ScriptOptions {
  std::string file, size;
  std::optional<std::string> negative_prompt;
  std::optional<int64_t> seed;

  CLI::Option* add(CLI::App& command) {
    CLI::Option* script = command.add_option("SCRIPT", file, "shot script, a TOML file");
    command.add_option("--size", size, "width x height in pixels, multiples of 16 (default: the script's)");
    command.add_option("--negative-prompt", negative_prompt, "what guidance leads away from (default: the script's)");
    command.add_option("--seed", seed, "seed of the noise (default: the script's)");
    return script;
  }

  Script load() const {
    Script script = load_script(file);
    if (!size.empty()) {
      const auto [width, height] = parse_pair(size, "--size");
      script.size = {width, height};
    }
    if (negative_prompt) script.negative_prompt = *negative_prompt;
    if (seed) script.seed = *seed;
    script.validate();
    return script;
  }
};

}  // namespace moga
