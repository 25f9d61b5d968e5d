// See meter.h.
#include "moga/bench/meter.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "moga/core/check.h"
#include "moga/core/device.h"

namespace moga {
namespace {

constexpr int64_t kFewestRepeats = 3;

double host_seconds(c10::Device device, const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  synchronize(device);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// All repetitions are queued before the host waits, so the host's time between launches is not counted.
std::vector<double> event_seconds(c10::Device device, int64_t repeats, const std::function<void()>& work) {
  const c10::Stream stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  std::vector<c10::Event> events;  // begin, end, begin, end, …
  const auto record = [&] {
    events.emplace_back(device.type(),
                        c10::EventFlag::BACKEND_DEFAULT);  // ATen's default flag creates events without timing
    events.back().record(stream);
  };
  for (int64_t i = 0; i < repeats; ++i) {
    record();
    work();
    record();
  }
  synchronize(device);
  std::vector<double> seconds;
  for (size_t i = 0; i < events.size(); i += 2) seconds.push_back(events[i].elapsedTime(events[i + 1]) * 1e-3);
  return seconds;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// The largest value on any rank.
double largest(const ProcessGroup& ranks, double value) {
  const at::Tensor all = at::full({1}, value, at::kDouble);
  ranks.all_reduce(all, Reduce::kMax);
  return all.item<double>();
}

}  // namespace

void MeterConfig::validate() const {
  check(warm_up >= 0 && warm_up <= 1000, "warm-up is ", warm_up, " repetitions, expected 0 to 1000");
  check(repeats >= 1 && repeats <= 100'000, "repeats is ", repeats, ", expected 1 to 100000");
  check(seconds >= 0, "time per measurement is ", seconds, " s, expected 0 or more");
}

Meter::Meter(c10::Device device, const MeterConfig& config, const ProcessGroup& ranks)
    : device_(device), config_(config), memory_(device), ranks_(ranks) {
  config.validate();
}

Measurement Meter::measure(const std::function<void()>& work) {
  double once = 0;
  for (int64_t i = 0; i < config_.warm_up; ++i) once = host_seconds(device_, work);
  once = largest(ranks_, once);  // all ranks repeat equally often
  memory_.reset_peak();
  int64_t repeats = config_.repeats;
  if (once > 0) {
    const double fitting = std::min(config_.seconds / once, static_cast<double>(config_.repeats));
    repeats = std::max(static_cast<int64_t>(fitting), std::min(kFewestRepeats, config_.repeats));
  }
  std::vector<double> seconds;
  if (device_.is_cuda())
    seconds = event_seconds(device_, repeats, work);
  else
    for (int64_t i = 0; i < repeats; ++i) seconds.push_back(host_seconds(device_, work));
  const double peak = largest(ranks_, static_cast<double>(memory_.peak()));
  return {largest(ranks_, median(seconds)), repeats, static_cast<int64_t>(peak)};
}

DeviceRates measure_rates(Meter& meter, c10::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  const auto options = at::TensorOptions(dtype).device(meter.device());
  DeviceRates rates;
  rates.matrix_size = meter.device().is_cuda() ? 8192 : 1024;
  const double size = static_cast<double>(rates.matrix_size);
  const at::Tensor a = at::randn({rates.matrix_size, rates.matrix_size}, options), b = at::randn_like(a);
  at::Tensor c = at::empty_like(a);
  rates.matrix_flops = 2 * size * size * size / meter.measure([&] { at::mm_out(c, a, b); }).seconds;
  const int64_t elements = (meter.device().is_cuda() ? int64_t(1) << 30 : int64_t(1) << 26) / a.element_size();
  const at::Tensor from = at::randn({elements}, options);
  at::Tensor to = at::empty_like(from);
  rates.copy_bytes = 2.0 * static_cast<double>(from.nbytes()) / meter.measure([&] { to.copy_(from); }).seconds;
  return rates;
}

}  // namespace moga
