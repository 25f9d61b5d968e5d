// What a ProcessGroup holds, and the makers of its c10d backends. Private to the folder. c10d's headers are slow and
// stay out of it: backends and stores cross as owning pointers, which c10::intrusive_ptr's reclaim takes over.
#pragma once

#include <c10/core/Device.h>

#include <chrono>
#include <string>

#include "moga/parallel/process_group.h"

namespace c10d {
class Backend;
class Store;
}  // namespace c10d

namespace moga {

struct BackendRequest {
  c10d::Store* store;  // borrowed; the backend keeps its own reference
  int64_t rank, size;
  std::chrono::milliseconds timeout;
  std::string name;
  std::string master_address;  // gloo binds to the address from which this is reached
};

c10d::Backend* make_gloo(const BackendRequest& request);
// Loads libmoga_nccl.so, which needs libtorch_cuda and is built with the CUDA kernels. Throws when it is missing.
c10d::Backend* make_nccl(const BackendRequest& request);
using MakeBackend = c10d::Backend* (*)(const BackendRequest& request);

// A store served by rank 0; `listen_fd` ≥ 0: a socket that listens already. Throws after `timeout`.
struct StoreRequest {
  std::string address;
  int64_t port = 0;
  int listen_fd = -1;
  bool serve = false;
  std::chrono::milliseconds timeout;
};
c10d::Store* make_store(const StoreRequest& request);

struct GroupRequest {
  c10d::Store* store;  // ownership is taken over
  int64_t rank = 0, size = 1;
  std::string name = "world";
  std::string master_address;
  std::chrono::milliseconds timeout;
  bool cuda = false;  // NCCL too
};
ProcessGroup make_group(const GroupRequest& request);

// Says in the store that this rank leaves; with `last`, returns when all `size` ranks have said so or after `patience`.
void leave_store(const ProcessGroup& group, bool last, std::chrono::milliseconds patience);

}  // namespace moga
