// A named stream in the place of a device's default generator. See random_scope.h.
#include "moga/train/loop/random_scope.h"

#include <ATen/Context.h>

#include <mutex>

#include "moga/core/random.h"

namespace moga {

RandomScope::RandomScope(uint64_t seed, std::string_view purpose, uint64_t index, c10::Device device)
    : generator_(at::globalContext().defaultGenerator(device)) {
  const std::lock_guard lock(generator_.mutex());
  before_ = generator_.get_state();
  generator_.set_current_seed(random_key(seed, purpose, index));
}

RandomScope::~RandomScope() {
  const std::lock_guard lock(generator_.mutex());
  generator_.set_state(before_);
}

}  // namespace moga
