// c10d's NCCL backend, for CUDA tensors: a shared object of its own (libmoga_nccl.so), loaded with the first CUDA
// group, because ProcessGroupNCCL is part of libtorch_cuda and the program must start without it.
#define USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "moga/parallel/group_state.h"

extern "C" c10d::Backend* moga_make_nccl(const moga::BackendRequest& request) {
  const auto options = c10d::ProcessGroupNCCL::Options::create();
  // The hosts notice a rank that hangs in their next collective, by Gloo, and name it. NCCL's own watchdog, which
  // aborts the process, is for a host that is stuck in the GPU's driver.
  options->timeout = 2 * request.timeout;
  const auto store = c10::make_intrusive<c10d::PrefixStore>(
      request.name + "/nccl", c10::intrusive_ptr<c10d::Store>::reclaim_copy(request.store));
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, static_cast<int>(request.rank),
                                                     static_cast<int>(request.size), options)
      .release();
}
