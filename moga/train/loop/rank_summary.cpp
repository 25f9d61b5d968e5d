// See rank_summary.h.
#include "moga/train/loop/rank_summary.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "moga/core/format.h"
#include "moga/core/log.h"
#include "moga/parallel/rank_environment.h"

namespace moga {
namespace {

std::vector<double> column(const at::Tensor& rows, int64_t index) {
  const at::Tensor values = rows.select(1, index).contiguous();
  return {values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel()};
}

}  // namespace

nlohmann::json summarise_ranks(const ProcessGroup& ranks, const StepTime& step, int64_t peak_bytes) {
  const at::Tensor all = ranks.all_gather(
      at::tensor({step.own(), step.waited, static_cast<double>(peak_bytes)}, at::kDouble).unsqueeze(0));
  const std::vector<double> own = column(all, 0), peaks = column(all, 2);
  const int64_t slowest = std::ranges::max_element(own) - own.begin();
  return {{"own_seconds", own},
          {"waited_seconds", column(all, 1)},
          {"peak_bytes", std::vector<int64_t>(peaks.begin(), peaks.end())},
          {"slowest", slowest},
          {"slowest_host", ranks.all_gather_text(host_name())[slowest]}};
}

std::string text_of_ranks(const nlohmann::json& summary) {
  const auto own = summary.at("own_seconds").get<std::vector<double>>();
  const auto peaks = summary.at("peak_bytes").get<std::vector<double>>();
  const auto slowest = summary.at("slowest").get<int64_t>();
  const double mean = std::accumulate(own.begin(), own.end(), 0.0) / static_cast<double>(own.size());
  return formatted("slowest rank %lld on %s: %.3g s of its own in a step, %.0f %% above the mean; peak memory ",
                   static_cast<long long>(slowest), summary.at("slowest_host").get<std::string>().c_str(), own[slowest],
                   100 * (own[slowest] / std::max(mean, 1e-9) - 1)) +
         format_bytes(*std::ranges::min_element(peaks)) + " to " + format_bytes(*std::ranges::max_element(peaks));
}

}  // namespace moga
