// See ranks.h.
#include "apps/ranks.h"

#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/parallel/connect.h"
#include "moga/parallel/launcher.h"
#include "moga/parallel/rank_device.h"

namespace moga {
namespace {

bool joined = false;

}  // namespace

void add_gpus_option(CLI::App& command, int64_t& gpus) {
  command.add_option("--gpus", gpus, "ranks to start on this machine, one per GPU; torchrun and srun work too")
      ->check(CLI::Range(int64_t{1}, int64_t{1024}));
}

bool run_as_ranks(int64_t gpus) {
  if (gpus <= 1) return false;
  LaunchOptions options;
  options.command = without_options(own_command(), {"--gpus"});
  options.processes = gpus;
  const int status = launch(options);
  if (status == kInterruptedExit) throw Interrupted();
  if (status != 0) throw CLI::RuntimeError(status);
  return true;
}

World join_world(const std::string& device, double timeout) {
  const RankEnvironment environment = rank_environment();
  World world;
  world.device = rank_device(environment, device);
  joined = environment.world > 1;
  if (environment.rank > 0) set_quiet(true);
  ConnectOptions options;
  options.device = world.device;
  options.collective_seconds = timeout;
  world.ranks = connect(environment, options);
  return world;
}

Ranks join_ranks(const ParallelConfig& parallel, const std::string& device) {
  const World world = join_world(device, parallel.timeout);
  return {world.device, Mesh::training(world.ranks, parallel)};
}

bool joined_others() { return joined; }

}  // namespace moga
