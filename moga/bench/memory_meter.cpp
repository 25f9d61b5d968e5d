// See memory_meter.h. ATen reports each allocation and release to the profiler in thread-local state. It reports a
// release only if it reported the allocation, so a meter does not see older tensors.
#include "moga/bench/memory_meter.h"

#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <string>

#include "moga/core/check.h"
#include "moga/core/device.h"

namespace moga {
namespace {

constexpr size_t kAllPools = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);

c10::DeviceIndex index_of(c10::Device device) { return device.has_index() ? device.index() : c10::DeviceIndex(0); }

c10::CachingAllocator::Stat allocated(c10::Device device) {
  c10::DeviceAllocator* allocator = c10::getDeviceAllocator(device.type());
  if (!allocator->initialized()) return {};
  return allocator->getDeviceStats(index_of(device)).allocated_bytes[kAllPools];
}

// Memory available without swapping as Linux estimates it: free pages do not include the page cache.
int64_t available_memory(int64_t total) {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  for (int64_t value = 0; file >> name >> value && std::getline(file, unit);)
    if (name == "MemAvailable:") return value * 1024;
  return total;
}

class Listener : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device device) override {
    if (!device.is_cpu()) return;
    const int64_t now = current += size;
    int64_t highest = peak;
    while (now > highest && !peak.compare_exchange_weak(highest, now)) {
    }
  }
  bool memoryProfilingEnabled() const override { return true; }

  std::atomic<int64_t> current{0}, peak{0};
};

}  // namespace

struct MemoryMeter::CpuCount {
  std::shared_ptr<Listener> listener = std::make_shared<Listener>();
  c10::DebugInfoGuard guard{c10::DebugInfoKind::PROFILER_STATE, listener};
};

MemoryMeter::MemoryMeter(c10::Device device) : device_(device) {
  check(device.is_cpu() || device.is_cuda(), "memory of device ", device, " cannot be metered");
  if (device.is_cpu()) cpu_ = std::make_unique<CpuCount>();
  reset_peak();
}

MemoryMeter::~MemoryMeter() = default;

void MemoryMeter::reset_peak() {
  if (cpu_) {
    cpu_->listener->peak = cpu_->listener->current.load();
  } else if (auto* allocator = c10::getDeviceAllocator(device_.type()); allocator->initialized()) {
    allocator->resetPeakStats(index_of(device_));
  }
}

int64_t MemoryMeter::current() const { return cpu_ ? cpu_->listener->current.load() : allocated(device_).current; }
int64_t MemoryMeter::peak() const { return cpu_ ? cpu_->listener->peak.load() : allocated(device_).peak; }

void release_cached_memory(c10::Device device) {
  if (device.is_cuda()) c10::getDeviceAllocator(device.type())->emptyCache();
}

DeviceMemory device_memory(c10::Device device) {
  if (device.is_cuda()) {
    check(cuda_available(), "device ", device, " cannot be used");
    const auto [free, total] = c10::getDeviceAllocator(device.type())->getMemoryInfo(index_of(device));
    return {static_cast<int64_t>(free), static_cast<int64_t>(total)};
  }
  const int64_t total = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  return {available_memory(total), total};
}

}  // namespace moga
