// The gated mean of branches stored in different row orders, and its gradients, against float64.
#include "moga/kernels/branch_mean.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

// Branch b is stored in the order place[b]; an undefined place is the order of y. Branch 1 has none.
struct Case {
  kernels::RowShape shape;
  std::vector<at::Tensor> branches, places;
  at::Tensor gate;
};

Case draw(const kernels::RowShape& shape, int branches, bool gated) {
  Case at = {shape, {}, {}, gated ? at::rand({shape.tokens}).to(on_gpu(at::kFloat)) : at::Tensor()};
  for (int b = 0; b < branches; ++b) {
    at.branches.push_back(random_on_gpu({shape.tokens, shape.columns}));
    at.places.push_back(b == 1 ? at::Tensor() : permutation_on_gpu(shape.tokens, at::kInt));
  }
  return at;
}

at::Tensor place_of(const Case& at, size_t b) {
  return at.places[b].defined() ? at.places[b].cpu().to(at::kLong) : at::arange(at.shape.tokens, at::kLong);
}

// The gate as a column [tokens, 1].
at::Tensor gate_of(const Case& at) {
  return (at.gate.defined() ? exact(at.gate) : at::ones({at.shape.tokens}, at::kDouble)).unsqueeze(1);
}

at::Tensor forward(const Case& at) {
  const at::Tensor y = unwritten({at.shape.tokens, at.shape.columns});
  kernels::BranchMean work = {.branches = static_cast<int32_t>(at.branches.size()),
                              .gate = floats(at.gate),
                              .y = elements(y),
                              .shape = at.shape};
  for (size_t b = 0; b < at.branches.size(); ++b) {
    work.branch[b] = elements(at.branches[b]);
    work.place[b] = pointer<int32_t>(at.places[b]);
  }
  kernels::branch_mean(work);
  return y;
}

void expect_forward(const Case& at) {
  at::Tensor sum = exact(at.branches[0]).index_select(0, place_of(at, 0)) * gate_of(at);
  for (size_t b = 1; b < at.branches.size(); ++b) sum = sum + exact(at.branches[b]).index_select(0, place_of(at, b));
  EXPECT_TRUE(rounded_from(forward(at), sum / static_cast<double>(at.branches.size())));
}

struct Gradients {
  std::vector<at::Tensor> branches;
  at::Tensor gate;
};

Gradients backward(const Case& at, const at::Tensor& dy) {
  Gradients out = {{}, at.gate.defined() ? unwritten({at.shape.tokens}, at::kFloat) : at::Tensor()};
  kernels::BranchMeanBackward work = {.dy = elements(dy),
                                      .gated = at.gate.defined() ? elements(at.branches[0]) : nullptr,
                                      .gate = floats(at.gate),
                                      .dgate = floats(out.gate),
                                      .branches = static_cast<int32_t>(at.branches.size()),
                                      .shape = at.shape};
  for (size_t b = 0; b < at.branches.size(); ++b) {
    out.branches.push_back(unwritten(dy.sizes()));
    work.dbranch[b] = elements(out.branches[b]);
    work.place[b] = pointer<int32_t>(at.places[b]);
  }
  kernels::branch_mean_backward(work);
  return out;
}

void expect_backward(const Case& at) {
  const at::Tensor dy = random_on_gpu({at.shape.tokens, at.shape.columns});
  const at::Tensor share = exact(dy) / static_cast<double>(at.branches.size());
  const Gradients out = backward(at, dy);
  for (size_t b = 0; b < at.branches.size(); ++b) {
    const at::Tensor expected = b == 0 ? share * gate_of(at) : share;
    EXPECT_TRUE(rounded_from(out.branches[b].cpu().index_select(0, place_of(at, b)), expected)) << "branch " << b;
  }
  if (!at.gate.defined()) return;
  EXPECT_TRUE(float_of(out.gate, (share * exact(at.branches[0]).index_select(0, place_of(at, 0))).sum(1)));
}

TEST(BranchMeanGpu, MeanAndGradientsAreWithinRounding) {
  MOGA_NEEDS_GPU();
  for (const kernels::RowShape& shape : kRowShapes) {
    if (shape.videos > 1) continue;  // rows of one video only
    for (const int branches : {1, 2, 3})
      for (const bool gated : {false, true}) {
        SCOPED_TRACE(name_of(shape) + ", branches " + std::to_string(branches) + (gated ? ", gated" : ""));
        const Case at = draw(shape, branches, gated);
        expect_forward(at);
        expect_backward(at);
      }
  }
}

}  // namespace
}  // namespace moga::test
