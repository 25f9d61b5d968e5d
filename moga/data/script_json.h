// A shot script as JSON: the keys of the TOML file (script.h), read as strictly. For requests to `moga serve`.
#pragma once

#include <string>

#include "moga/data/script.h"

namespace moga {

// Throws one line on an unknown key or a value of the wrong type; values are checked by validate(). `source`: the name
// used in messages. Images are paths relative to the current folder.
Script parse_script_json(const std::string& text, const std::string& source);

// The complete script, as parse_script_json reads it.
std::string script_json(const Script& script);

}  // namespace moga
