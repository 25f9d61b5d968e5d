// Sums on the device, JSON at intervals. See metrics.h.
#include "moga/train/loop/metrics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace moga {

void Metrics::add(const StepReport& report) {
  std::vector<at::Tensor> values;
  for (const auto& item : report.values) values.push_back(item.second.detach());
  const at::Tensor taken = at::stack(values).nan_to_num(0, 0, 0) * (1.0 - report.skipped);
  const at::Tensor now = at::cat({taken, report.skipped.unsqueeze(0)});
  sums_ = sums_.defined() ? sums_ + now : now;
  if (report.counts.defined()) counts_ = counts_.defined() ? counts_ + report.counts : report.counts;
  if (steps_++ == 0) {
    for (const auto& item : report.values) names_.push_back(item.first);
    throughput_ = report.throughput;
    return;
  }
  for (size_t i = 0; i < throughput_.size(); ++i) throughput_[i].second += report.throughput[i].second;
}

Metrics::Line Metrics::take() {
  const auto values = static_cast<int64_t>(names_.size());
  std::vector<at::Tensor> sums = {sums_.to(at::kDouble)};
  if (counts_.defined()) sums.push_back(counts_.flatten().to(at::kDouble));
  const at::Tensor host = at::cat(sums).cpu();
  const double* sum = host.const_data_ptr<double>();
  const double skipped = sum[values], taken = std::max(1.0, steps_ - skipped);

  Line line;
  line.means = {{"steps", steps_}, {"skipped", std::llround(skipped)}};
  for (int64_t i = 0; i < values; ++i) line.means[names_[i]] = sum[i] / taken;
  if (counts_.defined()) line.counts = host.narrow(0, values + 1, counts_.numel()).view(counts_.sizes());
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::max(1e-9, std::chrono::duration<double>(now - begin_).count() - excluded_);
  line.means["step_seconds"] = seconds / static_cast<double>(steps_);
  for (const auto& [unit, count] : throughput_) line.means[unit + "_per_second"] = static_cast<double>(count) / seconds;
  *this = Metrics();
  return line;
}

}  // namespace moga
