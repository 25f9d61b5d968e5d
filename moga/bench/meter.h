// Times a piece of work where it runs: by CUDA events between queued repetitions on a GPU, by the host's clock on a
// CPU. The median of warm repetitions, and the peak of memory over them. Ranks that work together run the same
// number of repetitions and report the largest time and memory among them.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <functional>

#include "moga/bench/memory_meter.h"
#include "moga/parallel/process_group.h"

namespace moga {

struct MeterConfig {
  int64_t warm_up = 2;   // repetitions that are not measured
  int64_t repeats = 20;  // at most
  double seconds = 3.0;  // time limit; at least 3 repetitions (or `repeats`, if that is less) are measured

  void validate() const;
};

struct Measurement {
  double seconds = 0;  // median
  int64_t repeats = 0;
  int64_t peak_bytes = 0;  // of all tensors on the device (CPU: those allocated since the meter was constructed)
};

class Meter {
 public:
  explicit Meter(c10::Device device, const MeterConfig& config = {}, const ProcessGroup& ranks = {});
  Measurement measure(const std::function<void()>& work);
  c10::Device device() const { return device_; }
  MemoryMeter& memory() { return memory_; }

 private:
  c10::Device device_;
  MeterConfig config_;
  MemoryMeter memory_;
  ProcessGroup ranks_;
};

// The device's own limits, measured as the rows are, so that each row can be compared with them.
struct DeviceRates {
  int64_t matrix_size = 0;  // n: [n, n] · [n, n] in the run's dtype
  double matrix_flops = 0;  // FLOP/s
  double copy_bytes = 0;    // bytes/s of a copy, read and written
};
DeviceRates measure_rates(Meter& meter, c10::ScalarType dtype);

}  // namespace moga
