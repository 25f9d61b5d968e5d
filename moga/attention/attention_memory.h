// Results of attention calls that outlive a block's first forward pass, for selective recomputation.
//
// A block that recomputes its activations runs its forward twice. Pass one memory to every attention call of both runs:
//
//   AttentionMemory memory;
//   { NoGradGuard no_grad; block(x, &memory); }      // each call computes, and records what its backward will need
//   memory.replay();
//   block(x, &memory);                               // the same calls in the same order take their records
//
// A call that takes its record does not run its backend's forward pass. It builds the autograd node from the recorded
// tensors and the q, k, v and gate of the second run, which must equal those of the first. Outputs and gradients then
// have the same bits as without a memory. A call with the reference backend records nothing and computes twice.
//
// Held per call, in the dtype of q (each lse is float32 [N, H]):
//   attend       output [N, H, D] and lse
//   mean         output [N, H, D] and lse of each branch; their mean is recomputed, in one pass
//   lse          the combined output [N, H, D] and lse; with a gate also those of the gated branch
#pragma once

#include <deque>

#include "moga/attention/attention_record.h"

namespace moga {

class AttentionMemory {
 public:
  void replay() { replaying_ = true; }
  bool replaying() const { return replaying_; }
  bool empty() const { return records_.empty(); }
  int64_t bytes() const;  // of all tensors held

  // For attention calls. take() removes and returns the oldest record. It throws if there is none, or if its number of
  // branches or its shape does not match the call.
  void record(AttentionRecord record) { records_.push_back(std::move(record)); }
  AttentionRecord take(size_t branches, const at::Tensor& q);

 private:
  std::deque<AttentionRecord> records_;
  bool replaying_ = false;
};

}  // namespace moga
