// A root keeps the graph but not the result.
#include "moga/core/graph_root.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

namespace moga::test {
namespace {

TEST(GraphRoot, GivesTheGradientsOfTheResult) {
  const at::Tensor x = at::rand({5}).set_requires_grad(true), y = at::rand({5}).set_requires_grad(true),
                   unused = at::rand({2}).set_requires_grad(true), grad = at::rand({5});
  const auto function = [&] { return x * y + x; };
  const auto expected = torch::autograd::grad({function()}, {x, y}, {grad});
  const GraphRoot root = graph_root(function());
  for (const bool keep : {true, false}) {
    const auto actual = gradients({root}, {grad}, {x, unused, y}, keep);
    EXPECT_TRUE(at::equal(actual[0], expected[0]) && at::equal(actual[2], expected[1]));
    EXPECT_FALSE(actual[1].defined());
  }
  EXPECT_THROW(gradients({root}, {grad}, {x}, false), c10::Error);
}

TEST(GraphRoot, ReleasesTheResult) {
  const at::Tensor x = at::rand({5}).set_requires_grad(true);
  at::Tensor result = x + 1;
  const c10::weak_intrusive_ptr<c10::StorageImpl> memory(result.storage().getWeakStorageImpl());
  const GraphRoot root = graph_root(result);
  EXPECT_FALSE(memory.expired());
  result.reset();
  EXPECT_TRUE(memory.expired());
  EXPECT_TRUE(at::equal(gradients({root}, {at::ones({5})}, {x}, false)[0], at::ones({5})));
}

}  // namespace
}  // namespace moga::test
