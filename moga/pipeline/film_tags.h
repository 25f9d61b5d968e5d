// The tags of a generated film: its complete script is the comment, so that the film can be generated again.
#pragma once

#include <optional>

#include "moga/data/script.h"
#include "moga/data/video/tags.h"

namespace moga {

// `script` with everything that the command line set over it; `model`: the folder's name; `tool`: program and version.
MediaTags film_tags(const Script& script, const std::string& model, const std::string& tool);

// The script in a film's or contact sheet's tags, as TOML; throws when the file has none.
std::string script_of_film(const std::filesystem::path& path);

// The same for tags that were read; empty if their comment is not a script.
std::optional<Script> script_in(const MediaTags& tags);

}  // namespace moga
