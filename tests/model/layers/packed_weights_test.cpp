// Parameters in one buffer keep their shapes and dtypes and do not overlap.
#include "moga/model/layers/packed_weights.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace moga {
namespace {

TEST(PackedWeights, AreAlignedViewsOfOneBuffer) {
  std::vector<at::Tensor> parameters = {at::empty({3, 5}), at::empty({1}, at::kBFloat16), at::empty({64, 2})};
  EXPECT_EQ(packed_bytes(parameters), 256 + 256 + 512);
  const at::Tensor bytes = at::zeros({1024}, at::kByte);
  view_in(parameters, bytes);
  EXPECT_EQ(parameters[0].sizes(), (at::IntArrayRef{3, 5}));
  EXPECT_EQ(parameters[1].scalar_type(), at::kBFloat16);
  EXPECT_EQ(static_cast<uint8_t*>(parameters[2].data_ptr()), bytes.data_ptr<uint8_t>() + 512);
  parameters[0].fill_(1);
  parameters[2].fill_(2);
  EXPECT_TRUE(parameters[0].eq(1).all().item<bool>() && parameters[1].eq(0).all().item<bool>());
}

}  // namespace
}  // namespace moga
