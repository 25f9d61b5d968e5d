// Random streams follow from their name alone.
#include "moga/core/random.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace moga {
namespace {

at::Tensor draw(uint64_t seed, const char* purpose, uint64_t index) {
  return at::randn({64}, random_stream(seed, purpose, index), at::TensorOptions().dtype(at::kFloat));
}

TEST(RandomStream, SameNameSameNumbers) { EXPECT_TRUE(at::equal(draw(7, "noise", 3), draw(7, "noise", 3))); }

TEST(RandomStream, AnyPartOfTheNameChangesTheNumbers) {
  const at::Tensor numbers = draw(7, "noise", 3);
  EXPECT_FALSE(at::equal(numbers, draw(8, "noise", 3)));
  EXPECT_FALSE(at::equal(numbers, draw(7, "timestep", 3)));
  EXPECT_FALSE(at::equal(numbers, draw(7, "noise", 4)));
}

}  // namespace
}  // namespace moga
