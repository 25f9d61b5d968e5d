// Reads and cross-checks the variables of torchrun and srun. See rank_environment.h.
#include "moga/parallel/rank_environment.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>

#include "moga/core/check.h"

namespace moga {
namespace {

constexpr int64_t kMostRanks = 1 << 20;

// A whole number in [low, high] from the variable, or nothing where it is not set.
std::optional<int64_t> number(const Variables& variables, const std::string& name, int64_t low, int64_t high) {
  const auto text = variables(name);
  if (!text) return std::nullopt;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  check(error == std::errc() && end == text->data() + text->size() && value >= low && value <= high,
        "environment: ", name, " = '", *text, "', expected a whole number from ", low, " to ", high);
  return value;
}

int64_t required(const Variables& variables, const std::string& name, const std::string& because, int64_t low,
                 int64_t high) {
  const auto value = number(variables, name, low, high);
  check(value.has_value(), "environment: ", because, " is set but ", name, " is not");
  return *value;
}

void check_ranks(const RankEnvironment& found, const std::string& rank, const std::string& world,
                 const std::string& local_rank) {
  check(found.rank < found.world, "environment: ", rank, " = ", found.rank, ", expected less than ", world, " = ",
        found.world);
  check(found.local_rank <= found.rank, "environment: ", local_rank, " = ", found.local_rank, " is more than ", rank,
        " = ", found.rank);
  check(found.local_rank < found.local_world && found.local_world <= found.world, "environment: ", local_rank, " = ",
        found.local_rank, " of ", found.local_world, " ranks on this machine, ", found.world, " in all");
}

RankEnvironment torchrun_ranks(const Variables& variables) {
  RankEnvironment found;
  found.launcher = "torchrun";
  found.rank = required(variables, "RANK", "WORLD_SIZE", 0, kMostRanks);
  found.world = required(variables, "WORLD_SIZE", "RANK", 1, kMostRanks);
  const auto local = number(variables, "LOCAL_RANK", 0, kMostRanks);
  check(local || found.world == 1, "environment: RANK is set but LOCAL_RANK, the GPU's number, is not");
  found.local_rank = local.value_or(0);
  // A launcher that does not say how many ranks this machine has: at least those up to this one.
  found.local_world = number(variables, "LOCAL_WORLD_SIZE", 1, kMostRanks).value_or(found.local_rank + 1);
  check_ranks(found, "RANK", "WORLD_SIZE", "LOCAL_RANK");
  if (found.world == 1) return found;
  const auto address = variables("MASTER_ADDR");
  check(address && !address->empty(), "environment: WORLD_SIZE = ", found.world, " but MASTER_ADDR is not set");
  found.master_address = *address;
  found.master_port = required(variables, "MASTER_PORT", "MASTER_ADDR", 1, 65535);
  return found;
}

// All steps of a job find one port, other jobs on the machine most likely another; below the ephemeral ports.
int64_t slurm_port(const Variables& variables) {
  if (const auto port = number(variables, "MASTER_PORT", 1, 65535)) return *port;
  constexpr int64_t kFirst = 15000, kPorts = 15000;
  const int64_t job = number(variables, "SLURM_JOB_ID", 0, INT64_MAX / 64).value_or(0);
  const int64_t step = number(variables, "SLURM_STEP_ID", 0, INT64_MAX / 64).value_or(0);
  return kFirst + (job * 31 + step) % kPorts;
}

std::string slurm_master(const Variables& variables) {
  if (const auto address = variables("MASTER_ADDR"); address && !address->empty()) return *address;
  for (const char* name : {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST"})
    if (const auto nodes = variables(name); nodes && !nodes->empty()) return first_slurm_host(*nodes);
  fail("environment: several Slurm tasks but neither SLURM_STEP_NODELIST nor MASTER_ADDR is set");
}

RankEnvironment slurm_ranks(const Variables& variables) {
  RankEnvironment found;
  found.launcher = "srun";
  found.rank = required(variables, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", 0, kMostRanks);
  found.world = required(variables, "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", 1, kMostRanks);
  if (const auto tasks = number(variables, "SLURM_NTASKS", 1, kMostRanks))
    check(*tasks == found.world, "environment: SLURM_NTASKS = ", *tasks, " but SLURM_STEP_NUM_TASKS = ", found.world);
  found.local_rank = required(variables, "SLURM_LOCALID", "SLURM_PROCID", 0, kMostRanks);
  found.local_world = found.local_rank + 1;
  check_ranks(found, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID");
  if (found.world == 1) return found;
  found.master_address = slurm_master(variables);
  found.master_port = slurm_port(variables);
  return found;
}

}  // namespace

std::optional<std::string> process_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value ? std::optional<std::string>(value) : std::nullopt;
}

RankEnvironment rank_environment(const Variables& variables) {
  if (variables("RANK") || variables("WORLD_SIZE")) return torchrun_ranks(variables);
  if (variables("SLURM_STEP_NUM_TASKS")) return slurm_ranks(variables);
  return {};
}

std::string first_slurm_host(const std::string& node_list) {
  std::string host;
  for (size_t i = 0; i < node_list.size() && node_list[i] != ','; ++i) {
    if (node_list[i] != '[') {
      host += node_list[i];
      continue;
    }
    const size_t close = node_list.find(']', i);
    check(close != std::string::npos, "environment: the Slurm node list '", node_list, "' has a [ without a ]");
    const size_t end = node_list.find_first_of("-,]", i);
    host += node_list.substr(i + 1, end - i - 1);
    i = close;
  }
  check(!host.empty(), "environment: the Slurm node list '", node_list, "' names no host");
  return host;
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown host";
}

}  // namespace moga
