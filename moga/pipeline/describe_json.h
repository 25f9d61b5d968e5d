// What describe() says in words, as JSON for programs.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <filesystem>

namespace moga {

// {"path", "kind": "model" | "shards" | "tensors" | "script" | "video" | "picture", …}: sizes in pixels, frames,
// values, bytes; a film's script as TOML. Throws as describe() does.
nlohmann::ordered_json describe_json(const std::filesystem::path& path);

}  // namespace moga
