// x + branch · gate with the gate of each row's video, and its gradients, against float64.
#include "moga/kernels/gated_residual.h"

#include <gtest/gtest.h>

#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

struct Inputs {
  at::Tensor x, branch, gate;
};

Inputs draw(const kernels::RowShape& shape) {
  const at::DimVector rows{shape.videos * shape.tokens, shape.columns};
  return {random_on_gpu(rows), random_on_gpu(rows), random_on_gpu({shape.videos, shape.columns}, at::kFloat)};
}

struct Gradients {
  at::Tensor dbranch, dgate;
};

Gradients backward(const Inputs& in, const at::Tensor& dy, const kernels::RowShape& shape, bool with_gate) {
  const Gradients out = {unwritten(dy.sizes()), with_gate ? unwritten(in.gate.sizes(), at::kFloat) : at::Tensor()};
  const at::Tensor partial = scratch_for(shape, 1);
  kernels::gated_residual_backward({.dy = elements(dy),
                                    .branch = elements(in.branch),
                                    .gate = floats(in.gate),
                                    .dbranch = elements(out.dbranch),
                                    .dgate = floats(out.dgate),
                                    .partial = floats(partial),
                                    .shape = shape});
  return out;
}

TEST(GatedResidualGpu, ForwardIsWithinRounding) {
  MOGA_NEEDS_GPU();
  for (const kernels::RowShape& shape : kRowShapes) {
    SCOPED_TRACE(name_of(shape));
    const Inputs in = draw(shape);
    const at::Tensor y = unwritten(in.x.sizes());
    kernels::gated_residual({.x = elements(in.x),
                             .branch = elements(in.branch),
                             .gate = floats(in.gate),
                             .y = elements(y),
                             .shape = shape});
    EXPECT_TRUE(rounded_from(y, exact(in.x) + exact(in.branch) * for_every_row(in.gate, shape)));
  }
}

TEST(GatedResidualGpu, BackwardIsWithinRounding) {
  MOGA_NEEDS_GPU();
  for (const kernels::RowShape& shape : kRowShapes) {
    SCOPED_TRACE(name_of(shape));
    const Inputs in = draw(shape);
    const at::Tensor dy = random_on_gpu(in.x.sizes());
    const Gradients out = backward(in, dy, shape, /*with_gate=*/true);
    EXPECT_TRUE(rounded_from(out.dbranch, exact(dy) * for_every_row(in.gate, shape)));
    EXPECT_TRUE(float_of(out.dgate, sum_of_rows(exact(dy) * exact(in.branch), shape)));
    EXPECT_TRUE(at::equal(out.dbranch, backward(in, dy, shape, /*with_gate=*/false).dbranch));
  }
}

}  // namespace
}  // namespace moga::test
