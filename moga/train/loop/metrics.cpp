// Sums on the device, JSON at intervals. See metrics.h.
#include "moga/train/loop/metrics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace moga {

void Metrics::add(const StepReport& report) {
  std::vector<at::Tensor> values;
  for (const auto& item : report.values) values.push_back(item.second.detach().reshape({-1}));
  const at::Tensor taken = at::cat(values).nan_to_num(0, 0, 0) * (1.0 - report.skipped);
  const at::Tensor now = at::cat({taken, report.skipped.unsqueeze(0)});
  sums_ = sums_.defined() ? sums_ + now : now;
  if (report.counts.defined()) counts_ = counts_.defined() ? counts_ + report.counts : report.counts;
  if (steps_++ == 0) {
    for (const auto& [name, value] : report.values) values_.push_back({name, value.numel(), value.dim() > 0});
    throughput_ = report.throughput;
    return;
  }
  for (size_t i = 0; i < throughput_.size(); ++i) throughput_[i].second += report.throughput[i].second;
}

Metrics::Line Metrics::take() {
  int64_t numbers = 0;
  for (const Value& value : values_) numbers += value.numbers;
  std::vector<at::Tensor> sums = {sums_.to(at::kDouble)};
  if (counts_.defined()) sums.push_back(counts_.flatten().to(at::kDouble));
  const at::Tensor host = at::cat(sums).cpu();
  const double* sum = host.const_data_ptr<double>();
  const double skipped = sum[numbers], taken = std::max(1.0, steps_ - skipped);

  Line line;
  line.means = {{"steps", steps_}, {"skipped", std::llround(skipped)}};
  const double* next = sum;
  for (const Value& value : values_) {
    std::vector<double> means(next, next + value.numbers);
    for (double& mean : means) mean /= taken;
    line.means[value.name] = value.list ? nlohmann::json(means) : nlohmann::json(means.front());
    next += value.numbers;
  }
  if (counts_.defined()) line.counts = host.narrow(0, numbers + 1, counts_.numel()).view(counts_.sizes());
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::max(1e-9, std::chrono::duration<double>(now - begin_).count() - excluded_);
  line.means["step_seconds"] = seconds / static_cast<double>(steps_);
  for (const auto& [unit, count] : throughput_) line.means[unit + "_per_second"] = static_cast<double>(count) / seconds;
  *this = Metrics();
  return line;
}

}  // namespace moga
