// Bytes that tensors hold on a device, and their peak, without the rest of the process's memory. On a GPU these are the
// caching allocator's own statistics, of all tensors of the process. ATen keeps none for the CPU: there they count the
// tensors that this thread has made since the meter was constructed (from the allocator's reports).
#pragma once

#include <c10/core/Device.h>

#include <memory>

namespace moga {

class MemoryMeter {
 public:
  explicit MemoryMeter(c10::Device device);
  ~MemoryMeter();
  MemoryMeter(const MemoryMeter&) = delete;
  MemoryMeter& operator=(const MemoryMeter&) = delete;

  void reset_peak();        // to the current value
  int64_t current() const;  // bytes
  int64_t peak() const;     // bytes, since construction or the last reset_peak()

 private:
  struct CpuCount;
  c10::Device device_;
  std::unique_ptr<CpuCount> cpu_;  // null on a GPU
};

// Returns the allocator's cached memory to the device; does nothing on the CPU.
void release_cached_memory(c10::Device device);

// Free and total bytes of the device: a GPU's own memory, or the machine's.
struct DeviceMemory {
  int64_t free = 0, total = 0;
};
DeviceMemory device_memory(c10::Device device);

}  // namespace moga
