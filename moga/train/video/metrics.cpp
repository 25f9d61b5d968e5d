// Sums on the device, JSON at intervals. See metrics.h.
#include "moga/train/video/metrics.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace moga {
namespace {

enum Scalar : int64_t { kFlow, kBalance, kNorm, kSkipped, kScalars };

}  // namespace

void Metrics::add(const StepResult& result) {
  const at::Tensor balance = result.balance.defined() ? result.balance : at::zeros_like(result.flow);
  const at::Tensor now = at::stack({result.flow, balance, result.gradient_norm, result.skipped}).nan_to_num(0, 0, 0);
  scalars_ = scalars_.defined() ? scalars_ + now : now;
  if (result.group_histogram.defined())
    histogram_ = histogram_.defined() ? histogram_ + result.group_histogram : result.group_histogram;
  ++steps_;
  videos_ += result.videos;
  tokens_ += result.tokens;
}

nlohmann::json Metrics::take() {
  nlohmann::json line = nlohmann::json::object();
  if (steps_ == 0) return line;
  std::vector<at::Tensor> sums = {scalars_.to(at::kDouble)};
  if (histogram_.defined()) sums.push_back(histogram_.flatten().to(at::kDouble));
  const at::Tensor host = at::cat(sums).cpu();
  const double* value = host.const_data_ptr<double>();

  const double taken = std::max(1.0, steps_ - value[kSkipped]);
  line["steps"] = steps_;
  line["loss"] = value[kFlow] / taken;
  line["gradient_norm"] = value[kNorm] / taken;
  line["skipped"] = static_cast<int64_t>(value[kSkipped]);
  if (histogram_.defined()) {
    line["balance"] = value[kBalance] / taken;
    const at::Tensor counts = host.narrow(0, kScalars, histogram_.numel()).view(histogram_.sizes());
    const at::Tensor fractions = counts / counts.sum(1, true).clamp_min(1);  // [layers, M]
    for (int64_t layer = 0; layer < fractions.size(0); ++layer) {
      const double* row = fractions.const_data_ptr<double>() + layer * fractions.size(1);
      line["groups"].push_back(std::vector<double>(row, row + fractions.size(1)));
      line["imbalance"].push_back(*std::max_element(row, row + fractions.size(1)) * fractions.size(1));
    }
  }
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::max(1e-9, std::chrono::duration<double>(now - begin_).count() - excluded_);
  line["videos_per_second"] = videos_ / seconds;
  line["tokens_per_second"] = tokens_ / seconds;
  line["step_seconds"] = seconds / steps_;
  *this = Metrics();
  return line;
}

}  // namespace moga
