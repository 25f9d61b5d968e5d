// What the NVIDIA driver says of the machine's GPUs, without loading LibTorch's CUDA library.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moga {

struct GpuFacts {
  std::string name;
  int capability_major = 0, capability_minor = 0;
  int64_t memory = 0;      // bytes
  std::vector<int> peers;  // numbers of the GPUs whose memory it can reach directly, by NVLink or PCIe
};

struct DriverFacts {
  std::string problem;   // why there are no GPUs; empty if there are
  int cuda_version = 0;  // the newest CUDA version that the driver serves, as 1000 · major + 10 · minor
  std::vector<GpuFacts> gpus = {};
};

DriverFacts driver_facts();

}  // namespace moga
