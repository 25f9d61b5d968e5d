// Inputs come back as they were stored, from the last block to the first.
#include "moga/model/layers/input_offload.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/error.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

// Block i's input is all i. Its device memory is freed after store and written by others.
void expect_inputs_back(int64_t blocks, at::Device device) {
  InputOffload offload(blocks);
  const auto filled = [&](int64_t value) {
    return at::full({257, 513}, value, at::TensorOptions(at::kInt).device(device));
  };
  for (int64_t i = 0; i < blocks; ++i) offload.store(i, filled(i));
  const std::vector<at::Tensor> others(static_cast<size_t>(2 * blocks), filled(-1).add(0));
  for (const bool keep : {true, false})
    for (int64_t i = blocks - 1; i >= 0; --i) {
      const at::Tensor x = offload.fetch(i, keep), scratch = filled(-2);
      EXPECT_EQ(x.device().type(), device.type());
      EXPECT_TRUE(x.eq(i).all().item<bool>()) << i << " of " << blocks << ", keep " << keep;
    }
}

TEST(InputOffload, InputsComeBackInReverse) {
  for (const int64_t blocks : {1, 2, 5}) expect_inputs_back(blocks, at::kCPU);
}

TEST(InputOffload, AnInputIsFetchedOnceUnlessKept) {
  InputOffload offload(1);
  offload.store(0, at::ones({2}));
  offload.fetch(0, /*keep=*/true);
  offload.fetch(0, /*keep=*/false);
  EXPECT_EQ(test::error_of([&] { offload.fetch(0, false); }),
            "input offload: block 0 has no input; its backward pass runs a second time without retain_graph");
}

TEST(InputOffloadGpu, InputsComeBackInReverse) {
  MOGA_NEEDS_GPU();
  for (const int64_t blocks : {1, 2, 5, 30}) expect_inputs_back(blocks, at::kCUDA);
}

}  // namespace
}  // namespace moga
