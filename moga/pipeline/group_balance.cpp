// See group_balance.h.
#include "moga/pipeline/group_balance.h"

#include <ATen/ATen.h>

#include "moga/core/format.h"

namespace moga {
namespace {

constexpr double kUneven = 1.3;  // cost above which a warning is worthwhile

}  // namespace

void GroupBalance::see(const at::Tensor& histogram) {
  if (!histogram.defined()) return;
  const at::Tensor shares = histogram.to(at::kDouble) / histogram.sum(1, /*keepdim=*/true);  // [layers, M]
  groups_ = shares.size(1);
  const at::Tensor cost = shares.square().sum(1).mean() * groups_, largest = shares.max();
  cost_ = cost_.defined() ? cost_ + cost : cost;
  largest_ = largest_.defined() ? at::maximum(largest_, largest) : largest;
  ++evaluations_;
}

double GroupBalance::cost() const {
  return evaluations_ == 0 ? 0.0 : cost_.item<double>() / static_cast<double>(evaluations_);
}

std::string GroupBalance::text() const {
  if (evaluations_ == 0) return "";
  const std::string hint = cost() > kUneven ? "; routers are less even at sizes and lengths that they were not trained "
                                              "on, moga calibrate evens them for these"
                                            : "";
  return formatted(
             "routed groups: attention costs %.2f times that of even groups, the largest has %.1f %% of the tokens "
             "(even: %.1f %%)",
             cost(), 100 * largest_.item<double>(), 100.0 / static_cast<double>(groups_)) +
         hint;
}

}  // namespace moga
