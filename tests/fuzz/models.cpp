// The targets of fuzz_models: the parts of a model folder.
#include "tests/fuzz/target.h"
#include "tests/support/tiny_model.h"

namespace moga::test {

std::vector<Target> all_targets(const std::filesystem::path& folder) {
  write_tiny_model(folder);
  std::vector<Target> all = config_targets(folder);
  for (Target& target : part_targets(folder)) all.push_back(std::move(target));
  return all;
}

}  // namespace moga::test
