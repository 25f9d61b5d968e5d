// A kind of file, originals to mutate, and the reader that gets the mutated ones.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/fuzz/mutate.h"

namespace moga::test {

struct Target {
  std::string name;
  std::string file;  // name of the mutated file, within a folder of its own
  std::vector<std::string> originals;
  std::function<std::string(const std::string& original, Random& random)> mutate;
  // Reads the file at `path`, which has these bytes. Throws Error where it is refused and Wrong (agree.h) where it is
  // accepted as something that it is not.
  std::function<void(const std::filesystem::path& path, const std::string& bytes)> read;
};

// `folder`: a place for originals that are made by the program's own writers.
std::vector<Target> weight_targets(const std::filesystem::path& folder);
std::vector<Target> video_targets(const std::filesystem::path& folder);
std::vector<Target> picture_targets(const std::filesystem::path& folder);
std::vector<Target> scheduler_targets();
std::vector<Target> script_targets();
// Of a model folder at `folder`.
std::vector<Target> part_targets(const std::filesystem::path& folder);
std::vector<Target> config_targets(const std::filesystem::path& folder);
// With a model folder at `folder`/model.
std::vector<Target> training_targets(const std::filesystem::path& folder);

// What a program of this folder fuzzes: files.cpp, models.cpp or training.cpp.
std::vector<Target> all_targets(const std::filesystem::path& folder);

}  // namespace moga::test
