// The mean of attention branches, one of them times the router's gate, forward and backward:
//
//   y = (branch_0 · gate + Σ_{i>0} branch_i) / n
//   dbranch_0 = dy · gate / n    dgate = Σ_C dy · branch_0 / n    drest = dy / n, the same for all other branches
//
// Rounded once. No torch.
#pragma once

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/rows.h"

namespace moga::kernels {

inline constexpr int kMaxBranches = 3;

struct BranchMean {
  const Bfloat16* branch[kMaxBranches] = {};  // [tokens, C] each
  int32_t branches = 0;
  const float* gate = nullptr;  // [tokens], of branch 0; or null: 1
  Bfloat16* y = nullptr;        // [tokens, C]
  RowShape shape;               // one video
  CUstream_st* stream = nullptr;
};
void branch_mean(const BranchMean& work);

struct BranchMeanBackward {
  const Bfloat16* dy = nullptr;
  const Bfloat16* gated = nullptr;  // branch 0
  const float* gate = nullptr;      // [tokens]
  Bfloat16* dgated = nullptr;
  Bfloat16* drest = nullptr;  // null when branch 0 is alone
  float* dgate = nullptr;     // [tokens]
  int32_t branches = 0;
  RowShape shape;
  CUstream_st* stream = nullptr;
};
void branch_mean_backward(const BranchMeanBackward& work);

}  // namespace moga::kernels
