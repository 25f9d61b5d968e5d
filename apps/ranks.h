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
// Connects this process with the other ranks, where there are any, as a mesh for training; ranks other than the first
// print nothing from then on. `device` as in rank_device.h.
Ranks join_ranks(const ParallelConfig& parallel, const std::string& device);

// The same without a mesh, for commands that arrange the ranks later or not at all.
struct World {
  c10::Device device = c10::kCPU;  // of this rank
  ProcessGroup ranks;
  bool first() const { return ranks.rank() == 0; }
  bool several() const { return ranks.size() > 1; }
};
World join_world(const std::string& device, double timeout = 1800);  // `timeout`: ParallelConfig's

// Whether this process has been connected with others.
bool joined_others();

}  // namespace moga
