// Which device a rank gets, as far as it can be told without a GPU.
#include "moga/parallel/rank_device.h"

#include <gtest/gtest.h>

#include "moga/core/check.h"
#include "tests/support/error.h"

namespace moga::test {
namespace {

TEST(RankDevice, OneGpuIsNoDeviceOfSeveralRanks) {
  const RankEnvironment two{.rank = 1, .world = 2, .local_rank = 1, .local_world = 2};
  EXPECT_EQ(error_of([&] { rank_device(two, "cuda:1"); }),
            "device 'cuda:1' is one GPU, the run has 2 ranks: expected auto, cuda or cpu");
  EXPECT_EQ(rank_device(two, "cpu"), c10::Device(c10::kCPU));
  EXPECT_EQ(rank_device({}, "cpu"), c10::Device(c10::kCPU));
}

}  // namespace
}  // namespace moga::test
