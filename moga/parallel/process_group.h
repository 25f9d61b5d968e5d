// The collectives of a group of ranks, on CPU tensors (Gloo) and CUDA tensors (NCCL), both through c10d.
//
//   all_reduce       x_r → Σ_r x_r (max, min) on every rank, in place
//   all_gather       x_r [n, …] → [P·n, …], in rank order; with counts, rank r contributes counts[r] rows
//   all_gather_into  the same into a tensor [P·n, …] that exists; x_r may be its own rows of it
//   reduce_scatter   x_r [P·n, …] → rows [r·n, (r+1)·n) of Σ_r x_r
//   all_to_all       rows for rank 0, rows for rank 1, … → rows from rank 0, rows from rank 1, …
//   all_to_all_into  the same into a tensor that exists
//   broadcast        x of one rank → x on every rank, in place
//
// All ranks of a group call the same collectives in the same order with the same sizes. Counts are host values: nothing
// is synchronised with a GPU: wait() for CUDA tensors makes the current stream wait. A sum is bit-identical from run to
// run on the same group. A group of one rank needs no connection. connect.h makes the group of all ranks, mesh.h the
// groups along the axes of a mesh. A rehearsed group has one rank that allocates as one of many would, for planning.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "moga/core/check.h"

namespace moga {

// A collective failed because another rank died, timed out or reported an error. It is a consequence: the other rank's
// error, or the launcher's line, names the cause.
class PeerFailure : public Error {
 public:
  using Error::Error;
};

// A collective in progress. It keeps its tensors alive.
class [[nodiscard]] Pending {
 public:
  explicit Pending(at::Tensor result) : result_(std::move(result)) {}
  Pending(at::Tensor result, std::function<void()> wait) : result_(std::move(result)), wait_(std::move(wait)) {}
  // Call it once, then use the result: on a GPU, on the stream that was current. Throws PeerFailure.
  at::Tensor wait();

 private:
  at::Tensor result_;
  std::function<void()> wait_;  // empty: nothing to wait for
};

enum class Reduce { kSum, kMax, kMin };

// A handle, cheap to copy.
class ProcessGroup {
 public:
  ProcessGroup();  // one rank
  // Rank 0 of `size` ranks, of which no other exists. Reductions keep this rank's part of its own data, gathers repeat
  // it, and nothing waits: a rehearsal allocates and computes what one rank of such a run does. Texts, all_to_all and
  // subgroups are not available.
  static ProcessGroup rehearsed(int64_t size);

  int64_t rank() const;
  int64_t size() const;

  Pending start_all_reduce(const at::Tensor& x, Reduce reduce = Reduce::kSum) const;
  Pending start_all_gather(const at::Tensor& x) const;
  Pending start_all_gather_into(const at::Tensor& to, const at::Tensor& x) const;
  Pending start_reduce_scatter(const at::Tensor& x) const;
  // The rows for rank s start at the sum of send_rows before s; rank s sends receive_rows[s] rows to this one.
  Pending start_all_to_all(const at::Tensor& x, const std::vector<int64_t>& send_rows,
                           const std::vector<int64_t>& receive_rows) const;
  Pending start_all_to_all_into(const at::Tensor& to, const at::Tensor& x, const std::vector<int64_t>& send_rows,
                                const std::vector<int64_t>& receive_rows) const;
  Pending start_broadcast(const at::Tensor& x, int64_t root) const;

  void all_reduce(const at::Tensor& x, Reduce reduce = Reduce::kSum) const { start_all_reduce(x, reduce).wait(); }
  at::Tensor all_gather(const at::Tensor& x) const { return start_all_gather(x).wait(); }
  at::Tensor all_gather(const at::Tensor& x, const std::vector<int64_t>& counts) const;
  at::Tensor reduce_scatter(const at::Tensor& x) const { return start_reduce_scatter(x).wait(); }
  at::Tensor all_to_all(const at::Tensor& x, const std::vector<int64_t>& send_rows,
                        const std::vector<int64_t>& receive_rows) const {
    return start_all_to_all(x, send_rows, receive_rows).wait();
  }
  void broadcast(const at::Tensor& x, int64_t root) const { start_broadcast(x, root).wait(); }
  void barrier() const;

  // Texts of any length, one from each rank, in rank order.
  std::vector<std::string> all_gather_text(const std::string& text) const;
  // Whether it holds on any rank: an interrupt that one rank received, for example.
  bool any(bool holds) const;

  // The group of these ranks of this group, in this order. Only they call it. Each name is used once.
  ProcessGroup subgroup(const std::string& name, const std::vector<int64_t>& ranks) const;

  struct State;
  explicit ProcessGroup(std::shared_ptr<State> state);
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace moga
