// The targets of fuzz_training: configs of `moga train` and `moga prepare`.
#include "tests/fuzz/target.h"
#include "tests/support/tiny_model.h"

namespace moga::test {

std::vector<Target> all_targets(const std::filesystem::path& folder) {
  write_tiny_model(folder / "model");
  return training_targets(folder);
}

}  // namespace moga::test
