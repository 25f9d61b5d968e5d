// Runs a command on several ranks. `--gpus N` starts the ranks on this machine; torchrun or srun can start them
// instead. Each rank then connects to the others.
#pragma once

#include <c10/core/Device.h>
#include <CLI/CLI.hpp>

#include "moga/parallel/mesh.h"

namespace moga {

void add_gpus_option(CLI::App& command, int64_t& gpus);

// With more than one, runs this command as that many ranks and returns true when all of them ended well. Throws
// Interrupted, or CLI::RuntimeError after the launcher has reported a failure.
bool run_as_ranks(int64_t gpus);

struct Ranks {
  c10::Device device = c10::kCPU;  // of this rank
  Mesh mesh;
  bool first() const { return mesh.world().rank() == 0; }
};
// Connects this process with the other ranks, where there are any; ranks other than the first print nothing from then
// on. `device` as in rank_device.h.
Ranks join_ranks(const ParallelConfig& parallel, const std::string& device);

// Whether join_ranks has connected this process with others.
bool joined_others();

}  // namespace moga
