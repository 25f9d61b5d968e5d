// Config: a struct with defaults next to its component, read from TOML or JSON and written back complete.
//
// A struct lists its fields once, and reading, writing and help all follow from the list:
//
//   struct ScheduleConfig {
//     double shift = 5.0;
//     int64_t steps = 50;
//     template <class Fields>
//     void fields(Fields& field) {
//       field("shift", shift, "timestep shift s");
//       field("steps", steps, "sampler steps");
//     }
//   };
//
// Field types: bool, int64_t, double, std::string, enums with a table of names (choice.h), std::optional and
// std::vector of these, structs with fields(), std::optional and std::vector of such structs, and Cloned<Base> of a
// Base that reads and writes its own table (read_tree, tree). An unknown key is an error that names file and line and
// suggests the nearest key; so is a value of the wrong type. A whole number serves as a double and 2.0 as a whole
// number; null is the default. Keys that begin with "_" are skipped. A struct may have `void validate() const`, called
// after reading; its Error gets the place prefixed. Files beyond 16 MiB and keys or values nested more than 127 deep
// are refused.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace moga {

template <class Config>
Config load_toml(const std::filesystem::path& path);
template <class Config>
Config parse_toml(const std::string& text, const std::string& source);  // source: the name used in messages

template <class Config>
Config load_json(const std::filesystem::path& path, bool ignore_unknown = false);
template <class Config>
Config parse_json(const std::string& text, const std::string& source, bool ignore_unknown = false);

// Sets fields by dotted path, as given on a command line: "sampler.steps=20", "size=[128, 224]", "title=any text".
// Several are applied together and validated once. Errors are those of reading a file, with `source` as the origin.
template <class Config>
void apply_overrides(Config& config, const std::vector<std::string>& key_values,
                     const std::string& source = "command line");
template <class Config>
void apply_override(Config& config, const std::string& key_value);

// The complete config including defaults, each field with its help text as a comment. Unset fields are commented out.
template <class Config>
std::string to_toml(const Config& config);
template <class Config>
std::string to_json(const Config& config);

}  // namespace moga

#include "moga/core/config_impl.h"
