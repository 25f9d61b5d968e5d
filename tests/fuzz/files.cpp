// The targets of fuzz_files: files that are read without a model.
#include "tests/fuzz/target.h"

namespace moga::test {

std::vector<Target> all_targets(const std::filesystem::path& folder) {
  std::vector<Target> all = weight_targets(folder);
  for (std::vector<Target> more :
       {scheduler_targets(), script_targets(), video_targets(folder), picture_targets(folder)})
    for (Target& target : more) all.push_back(std::move(target));
  return all;
}

}  // namespace moga::test
