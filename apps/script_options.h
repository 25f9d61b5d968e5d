// A shot script and the options that override it, for `moga plan` and `moga generate`.
#pragma once

#include <CLI/CLI.hpp>

#include <optional>
#include <string>

#include "apps/size_options.h"
#include "moga/data/script.h"
#include "moga/pipeline/model_size.h"

namespace moga {

struct ScriptOptions {
  std::string file, size;
  std::optional<std::string> negative_prompt;
  std::string negative, noise_from;
  std::optional<int64_t> seed;

  CLI::Option* add(CLI::App& command) {
    CLI::Option* script = command.add_option("SCRIPT", file, "shot script, a TOML file");
    command.add_option("--size", size, "width x height in pixels (default: the script's, else the model's)");
    auto* prompt = command.add_option("--negative-prompt", negative_prompt,
                                      "what guidance steers away from (default: the script's)");
    command
        .add_option("--negative", negative,
                    "a known negative prompt instead: " + choice_list<Negative>() + " (default: the script's)")
        ->excludes(prompt);
    command.add_option("--seed", seed, "seed of the noise (default: the script's)");
    return script;
  }

  // A script without a size gets that of `model`, if the model has one. The size must fit the model's
  // `pixels_per_token`.
  Script load(const std::string& model, const Strides& pixels_per_token) const {
    Script script = load_script(file, pixels_per_token);
    if (!script.names_size)
      if (const auto own = model_size(model)) script.size = *own;
    if (!size.empty()) {
      const auto [width, height] = parse_pair(size, "--size");
      script.size = {width, height};
    }
    override_negative(script);
    if (!noise_from.empty()) script.noise_from = choice<NoiseSource>("--noise-from", noise_from);
    if (seed) script.seed = *seed;
    script.validate(pixels_per_token);
    return script;
  }

 private:
  // Either option replaces both of the script's keys.
  void override_negative(Script& script) const {
    if (!negative_prompt && negative.empty()) return;
    script.negative_prompt = negative_prompt.value_or("");
    script.negative = negative.empty() ? Negative::kNone : choice<Negative>("--negative", negative);
  }
};

}  // namespace moga
