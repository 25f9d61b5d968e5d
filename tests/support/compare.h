// Comparing tensors. The allowed error is measured: an implementation may differ from the float64 reference by at most
// `factor` times the error of plain ATen operations in the same dtype. NaN masks are compared exactly.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace moga::test {

struct Difference {
  double relative = 0;  // ‖a − b‖ / ‖b‖
  double largest = 0;   // max |a − b|
  std::string worst;    // the element with the largest difference, with both values
};
Difference difference(const at::Tensor& actual, const at::Tensor& expected);

// Same shape, same NaN mask, relative error ≤ tolerance; prints the worst element otherwise.
testing::AssertionResult close(const at::Tensor& actual, const at::Tensor& expected, double tolerance);

// error(actual) ≤ factor · error(plain) + floor, both against `reference` (float64).
testing::AssertionResult as_good_as(const at::Tensor& actual, const at::Tensor& plain, const at::Tensor& reference,
                                    double factor = 2.0, double floor = 1e-7);

}  // namespace moga::test
