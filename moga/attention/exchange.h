// Attention over a sequence that is spread over ranks, each of which holds a slice of n tokens with all heads:
//
//   q, k, v [n, H, D]  →  all-to-all  →  this rank's shares: q [rows of the share, h, D], k, v [N, h, D]
//                      →  attention of whole groups on each share, by the caller
//                      →  all-to-all  →  output [n, H, D]
//
// exchange_plan.h assigns the shares. The router scores local tokens; group numbers are gathered, so that every
// rank makes the groups of the whole sequence. The gate of a token is needed wherever its query is: the
// caller gathers it, and its gradient is summed here. The rows of one share travel while another share computes
// (exchange_trip.h). Sizes are known on the host: nothing is synchronised with a GPU. Gradients of keys that went to
// several ranks are summed in float32, in rank order: bit-identical from run to run.
//
// The rest of a block is local to the slice. Frames could run locally too where slices end at frames; they run with the
// other branches, because that needs no further exchange and keeps the work even.
#pragma once

#include <functional>
#include <memory>

#include "moga/attention/exchange_plan.h"
#include "moga/attention/grouping.h"
#include "moga/parallel/process_group.h"

namespace moga {

// Slices of a layout for P ranks: at ends of frames where the longest slice is then at most `slack` times the mean,
// otherwise as equal as they come.
std::vector<int64_t> sequence_slices(const Layout& layout, int64_t ranks, double slack = 1.05);

// A share of this rank and the tokens of its queries.
struct OwnShare {
  Share share;
  bool whole = true;                 // all tokens
  std::vector<int64_t> host_tokens;  // of the queries, in order; empty when whole
  at::Tensor tokens;                 // the same, int64 on the device
};

// What a share's attention is computed from.
struct ShareInputs {
  at::Tensor q;     // [rows, h, D]
  at::Tensor k, v;  // [N, h, D]
  at::Tensor gate;  // [rows]; undefined without a gate
};

// The gate of this slice's tokens [n], which gradients reach, and of all tokens [N], without one. Undefined: no gate.
struct SpreadGate {
  at::Tensor own, all;
};

// Made once for a layout and used by all blocks.
class SequenceExchange {
 public:
  SequenceExchange(const ProcessGroup& group, const Layout& layout, int64_t heads,
                   const std::vector<int64_t>& slice_rows, c10::Device device);

  const ExchangePlan& plan() const;
  const std::vector<OwnShare>& shares() const;

  // Of the whole sequence, from a tensor [n, …] of this slice; no gradient.
  at::Tensor gather(const at::Tensor& x) const;

  // The groups of a share: all keys, and the queries it holds, numbered in the share. Static groups; reads the host.
  Grouping of_share(const Grouping& grouping, const OwnShare& share) const;
  // Of routed groups: `group` [N] are the group numbers of the whole sequence, `grouping` what routed_groups made of
  // them. On the device.
  Grouping routed_of_share(const Grouping& grouping, const at::Tensor& group, int64_t groups,
                           const OwnShare& share) const;

  // `attend_share` gives the output [rows, h, D] of one share. q, k, v [n, H, D] → [n, H, D].
  // `replayed`: it takes its results from an AttentionMemory and reads q, k and v in the backward pass only; nothing
  // waits for them before that.
  using AttendShare = std::function<at::Tensor(const OwnShare& share, const ShareInputs& inputs)>;
  at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const SpreadGate& gate,
                    const AttendShare& attend_share, bool replayed = false) const;

  struct State;

 private:
  std::shared_ptr<const State> state_;
};

}  // namespace moga
