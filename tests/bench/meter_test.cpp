// Times are medians, memory is that of the tensors.
#include "moga/bench/meter.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/support/error.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

TEST(Meter, TimesWhatItRuns) {
  Meter meter(at::kCPU, {.warm_up = 1, .repeats = 3, .seconds = 1});
  int calls = 0;
  const Measurement measured = meter.measure([&] {
    ++calls;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  EXPECT_EQ(measured.repeats, 3);
  EXPECT_EQ(calls, 4);
  EXPECT_GE(measured.seconds, 0.005);
}

TEST(Meter, RepeatsLongWorkOnlyAFewTimes) {
  Meter meter(at::kCPU, {.warm_up = 1, .repeats = 1000, .seconds = 0});
  EXPECT_EQ(meter.measure([] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }).repeats, 3);
}

TEST(MemoryMeter, CountsTensorsAndTheirPeak) {
  MemoryMeter meter(at::kCPU);
  const at::Tensor kept = at::empty({1 << 20}, at::kFloat);
  { const at::Tensor passing = at::empty({1 << 20}, at::kFloat); }
  EXPECT_EQ(meter.current(), 4 << 20);
  EXPECT_EQ(meter.peak(), 8 << 20);
  meter.reset_peak();
  EXPECT_EQ(meter.peak(), 4 << 20);
}

TEST(MemoryMeter, CountsTheBackwardOnItsOwnThreadsToo) {
  const at::Tensor x = at::ones({1 << 20}).requires_grad_();
  MemoryMeter meter(at::kCPU);
  const at::Tensor y = x.square().sum();  // keeps nothing but x
  const int64_t before = meter.peak();
  y.backward();
  EXPECT_GE(meter.peak(), before + (4 << 20) - (1 << 10));
}

TEST(MemoryMeter, KnowsTheMachine) {
  const DeviceMemory memory = device_memory(at::kCPU);
  EXPECT_GT(memory.free, 0);
  EXPECT_GT(memory.total, memory.free);
}

TEST(MeterGpu, TimesByEventsAndReadsTheAllocator) {
  MOGA_NEEDS_GPU();
  const at::Device device(at::kCUDA, 0);
  const at::Tensor a = at::randn({4096, 4096}, at::TensorOptions(at::kBFloat16).device(device));
  Meter meter(device, {.warm_up = 2, .repeats = 5, .seconds = 1});
  const Measurement measured = meter.measure([&] { a.mm(a); });
  EXPECT_GT(measured.seconds, 2 * std::pow(4096.0, 3) / 2e15);  // faster than any card
  EXPECT_LT(measured.seconds, 0.1);
  EXPECT_GE(measured.peak_bytes, 2 * static_cast<int64_t>(a.nbytes()));
  EXPECT_LT(device_memory(device).free, device_memory(device).total);
}

TEST(Meter, RefusesWhatItCannotDo) {
  const auto error = [](const MeterConfig& config) -> std::string {
    return test::error_of([&] { Meter(at::kCPU, config); });
  };
  EXPECT_EQ(error({.warm_up = 1001}), "warm-up is 1001 repetitions, expected 0 to 1000");
  EXPECT_EQ(error({.repeats = 0}), "repeats is 0, expected 1 to 100000");
  EXPECT_EQ(error({.seconds = -1}), "time per measurement is -1 s, expected 0 or more");
  EXPECT_EQ(test::error_of([] { MemoryMeter(at::Device(at::kMeta)); }),
            "memory of device meta cannot be measured, expected cpu or cuda");
}

}  // namespace
}  // namespace moga
