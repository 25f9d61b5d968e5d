// Every pixel twice in both directions, and the channels of several frames spread over these frames: exact copies.
#include "moga/kernels/nearest_upsample.h"

#include <gtest/gtest.h>

#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

struct Case {
  int64_t frames;
  int32_t rows, columns, parts, channels;
};

at::Tensor run(const at::Tensor& x, const Case& at) {
  const at::Tensor y = unwritten({at.frames * at.parts, 2 * at.rows, 2 * at.columns, at.channels});
  kernels::nearest_upsample({.x = elements(x),
                             .y = elements(y),
                             .frames = at.frames,
                             .rows = at.rows,
                             .columns = at.columns,
                             .parts = at.parts,
                             .channels = at.channels});
  return y.cpu();
}

TEST(NearestUpsampleGpu, CopiesEveryPixelToFourOfItsFrame) {
  MOGA_NEEDS_GPU();
  for (const Case& at :
       {Case{1, 1, 1, 1, 8}, {3, 5, 7, 1, 24}, {2, 30, 52, 2, 384}, {1000, 67, 1, 1, 8}, {2, 3, 70, 3, 96}}) {
    const at::Tensor x = random_on_gpu({at.frames, at.rows, at.columns, at.parts, at.channels});
    const at::Tensor y = run(x, at);
    const at::Tensor apart =
        x.cpu().permute({0, 3, 1, 2, 4}).reshape({at.frames * at.parts, at.rows, at.columns, at.channels});
    for (const int64_t i : {0, 1})
      for (const int64_t j : {0, 1})
        EXPECT_TRUE(at::equal(y.slice(1, i, at::nullopt, 2).slice(2, j, at::nullopt, 2), apart))
            << at.rows << " x " << at.columns << ", pixel (" << i << ", " << j << ")";
  }
}

}  // namespace
}  // namespace moga::test
