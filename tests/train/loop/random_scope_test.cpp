// The default generator inside a scope and after it.
#include "moga/train/loop/random_scope.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/random.h"

namespace moga {
namespace {

TEST(RandomScope, DrawsFromTheNamedStream) {
  const at::Tensor expected = at::rand({5}, random_stream(3, "dropout", 7), at::TensorOptions(at::kFloat));
  at::rand({11});
  const RandomScope random(3, "dropout", 7);
  EXPECT_TRUE(at::equal(at::rand({5}), expected));
}

TEST(RandomScope, LeavesTheDefaultGeneratorAsItWas) {
  at::manual_seed(1);
  const at::Tensor expected = at::rand({5});
  at::manual_seed(1);
  {
    const RandomScope random(3, "dropout");
    at::rand({9});
  }
  EXPECT_TRUE(at::equal(at::rand({5}), expected));
}

}  // namespace
}  // namespace moga
