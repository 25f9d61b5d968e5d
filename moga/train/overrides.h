// `--set transformer.moga.kind=full`: keys of a TOML config given on the command line. `stage.0.steps=100` reaches into a
// list. A value is read as TOML; what is not TOML is taken as text, so that quotes may be left out.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "moga/core/config.h"
#include "moga/core/files.h"

namespace moga {

// The TOML text of `source` with "key=value" settings put in. Throws naming a setting that cannot be placed.
std::string apply_settings(const std::string& toml, const std::vector<std::string>& settings,
                           const std::string& source);

template <class Config>
Config load_toml_with(const std::filesystem::path& path, const std::vector<std::string>& settings) {
  if (settings.empty()) return load_toml<Config>(path);
  return parse_toml<Config>(apply_settings(read_text(path), settings, path.string()), path.string() + " with --set");
}

}  // namespace moga
