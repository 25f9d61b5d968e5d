// `moga doctor`: what this machine has and whether the program computes correctly and fast on it, to paste into a bug
// report. Names no user, path or address.
#pragma once

#include <string>
#include <vector>

#include "moga/attention/backend_list.h"
#include "moga/bench/memory_meter.h"
#include "moga/bench/meter.h"
#include "moga/core/gpu_facts.h"
#include "moga/data/video/codecs.h"

namespace moga {

// Grouped attention of one backend on random rows, forward and backward, compared with float64.
struct BackendTest {
  std::string backend;
  double error = 0, allowed = 0;  // relative; allowed: twice that of plain operations in the same dtype
  bool passed() const { return error <= allowed; }
};

struct MachineReport {
  std::string system, processor, device, dtype;
  int64_t processors = 0, threads = 0;
  DeviceMemory memory, gpu_memory;  // gpu_memory: of the device; 0 on a CPU
  DriverFacts driver;
  std::string without_gpu;  // why a GPU that the driver sees is not used; empty otherwise
  std::vector<BackendState> backends;
  std::vector<BackendTest> tests;
  DeviceRates rates;
  VideoCodecs codecs;

  bool healthy() const;
};

// Takes a few seconds. `device` as in the other commands: "auto", "cpu", "cuda:1".
MachineReport examine_machine(const std::string& device);

std::string to_text(const MachineReport& report);
std::string to_json_text(const MachineReport& report);

}  // namespace moga
