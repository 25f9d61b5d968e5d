// Keys of another program's config for which ours has no field: harmless at any value, or at the one value that means
// what our arithmetic does. Every other key has to be known to the struct that reads the config, so that a misspelt
// key and a setting that is not understood are errors.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <span>
#include <string>

namespace moga {

struct ForeignKey {
  const char* name;
  const char* only = nullptr;  // JSON text of the one value that is supported; null pointer: any value
  const char* means = "";      // what another value says of the model: "an image-to-video model"
};

// Erases the keys of `known` from an object. null always passes, it is the default. Throws one line that names source,
// key, value, the expected value and what the model is.
void erase_foreign_keys(nlohmann::json& object, std::span<const ForeignKey> known, const std::string& source);

}  // namespace moga
