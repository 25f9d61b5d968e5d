// The start and the end of a run of several ranks: all ranks connect to the store that rank 0 serves, and rank 0 leaves
// last, because the others need the store until they have left.
#pragma once

#include <c10/core/Device.h>

#include "moga/parallel/process_group.h"
#include "moga/parallel/rank_environment.h"

namespace moga {

struct ConnectOptions {
  c10::Device device = c10::kCPU;   // CUDA: collectives of tensors on it by NCCL, those on the CPU by Gloo
  double connect_seconds = 120;     // for all ranks to appear
  double collective_seconds = 600;  // a rank that does not come to a collective within them has failed
};

// The group of all ranks; for one process, a group of one without a connection. Throws PeerFailure when ranks do not
// appear in time. Until they have, SIGTERM and SIGINT end the process at once.
ProcessGroup connect(const RankEnvironment& environment, const ConnectOptions& options = {});

// Called by every rank at the end of a run that went well; rank 0 returns last, or after `seconds`.
void leave(const ProcessGroup& world, double seconds = 30);

}  // namespace moga
