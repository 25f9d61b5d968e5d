// Ranks that hold other bits have another digest, whatever the dtype.
#include "moga/train/loop/tensor_digest.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace moga {
namespace {

TEST(TensorDigest, DiffersWithOneBit) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble, at::kLong}) {
    const at::Tensor a = at::arange(12, dtype).view({3, 4}), b = a.clone();
    EXPECT_EQ(digest_lines({{"weight", a}}), digest_lines({{"weight", b}})) << dtype;
    b[2][1].add_(1);
    EXPECT_NE(digest_lines({{"weight", a}}), digest_lines({{"weight", b}})) << dtype;
  }
}

TEST(TensorDigest, IsOfTheValuesWhateverTheStrides) {
  const at::Tensor a = at::arange(12, at::kFloat).view({3, 4});
  EXPECT_EQ(digest_lines({{"a", a.t()}, {"step", a[0][1]}}), digest_lines({{"a", a}, {"step", a[0][1]}}));
}

}  // namespace
}  // namespace moga
