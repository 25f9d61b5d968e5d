// Which rank this process is, from the environment that its launcher set:
//
//   torchrun, moga's launcher   RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT
//   srun                        SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID, SLURM_STEP_NODELIST, SLURM_JOB_ID
//   neither                     one process
//
// torchrun's variables win: torchrun started by srun sets both. A batch script outside of srun is one process, although
// Slurm describes the job to it. Connects nothing (connect.h does).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace moga {

struct RankEnvironment {
  int64_t rank = 0, world = 1;              // over all machines
  int64_t local_rank = 0, local_world = 1;  // on this machine; the local rank is the GPU's number
  std::string launcher = "none";            // torchrun (or moga's own), srun, none: for the log
  std::string master_address = "127.0.0.1";
  int64_t master_port = 0;  // where rank 0 serves the store; 0: not needed by one process
};

// The value of an environment variable, nothing where it is not set.
using Variables = std::function<std::optional<std::string>(const std::string& name)>;
std::optional<std::string> process_variable(const std::string& name);

// Throws one line when variables are missing, are no numbers or contradict each other.
RankEnvironment rank_environment(const Variables& variables = process_variable);

// The first host of a Slurm node list: "gpu[07-09,12],login" → "gpu07".
std::string first_slurm_host(const std::string& node_list);

std::string host_name();

}  // namespace moga
