// The state from which a sampler starts, on every rank: noise, or what an interrupted run kept. Rank 0 reads or draws
// it and the others receive it, so that all ranks start from the same bits.
#pragma once

#include "moga/parallel/process_group.h"
#include "moga/sampler/solver.h"

namespace moga {

// Rank 0's state with its tensors on `device`. Other ranks' own state is ignored. Every rank calls it.
SampleState share_state(const ProcessGroup& ranks, const SampleState& own, at::Device device);

}  // namespace moga
