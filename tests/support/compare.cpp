// Differences of tensors in float64 on the CPU; a failure prints the worst element. See compare.h.
#include "tests/support/compare.h"

#include <sstream>

namespace moga::test {

Difference difference(const at::Tensor& actual, const at::Tensor& expected) {
  const at::Tensor a = actual.detach().cpu().to(at::kDouble).flatten();
  const at::Tensor b = expected.detach().cpu().to(at::kDouble).flatten();
  const at::Tensor gap = (a - b).nan_to_num(0.0).abs();
  Difference result;
  if (gap.numel() == 0) return result;
  const double scale = b.nan_to_num(0.0).norm().item<double>();
  result.relative = (a - b).nan_to_num(0.0).norm().item<double>() / std::max(scale, 1e-30);
  const int64_t at = gap.argmax().item<int64_t>();
  result.largest = gap[at].item<double>();
  std::ostringstream worst;
  worst << "element " << at << ": " << a[at].item<double>() << ", expected " << b[at].item<double>();
  result.worst = worst.str();
  return result;
}

testing::AssertionResult close(const at::Tensor& actual, const at::Tensor& expected, double tolerance) {
  if (actual.sizes() != expected.sizes())
    return testing::AssertionFailure() << "shape " << actual.sizes() << ", expected " << expected.sizes();
  if (!at::equal(actual.detach().cpu().isnan(), expected.detach().cpu().isnan()))
    return testing::AssertionFailure() << "NaNs differ";
  const Difference found = difference(actual, expected);
  if (found.relative <= tolerance) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "relative error " << found.relative << " > " << tolerance << "; "
                                     << found.worst;
}

testing::AssertionResult as_good_as(const at::Tensor& actual, const at::Tensor& plain, const at::Tensor& reference,
                                    double factor, double floor) {
  return close(actual.to(at::kDouble), reference.to(actual.device(), at::kDouble),
               factor * difference(plain, reference).relative + floor);
}

}  // namespace moga::test
