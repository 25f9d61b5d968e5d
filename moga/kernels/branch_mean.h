// The mean of attention branches, the first one scaled by the router's gate; forward and backward:
//
//   y[r] = (branch_0[place_0[r]] · gate[r] + Σ_{b>0} branch_b[place_b[r]]) / n
//   dbranch_0[place_0[r]] = dy[r] · gate[r] / n    dgate[r] = Σ_C dy[r] · branch_0[place_0[r]] / n
//   dbranch_b[place_b[r]] = dy[r] / n
//
// Each branch has its own row order; `place` maps rows to it, so no separate pass reorders them. Rounded once. No
// torch.
#pragma once

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/rows.h"

namespace moga::kernels {

inline constexpr int kMaxBranches = 3;

struct BranchMean {
  const Bfloat16* branch[kMaxBranches] = {};  // [tokens, C] each
  const int32_t* place[kMaxBranches] = {};    // [tokens], a permutation; or null for the identity
  int32_t branches = 0;
  const float* gate = nullptr;  // [tokens], of branch 0, or null for 1
  Bfloat16* y = nullptr;        // [tokens, C]
  RowShape shape;               // one video
  CUstream_st* stream = nullptr;
};
void branch_mean(const BranchMean& work);

struct BranchMeanBackward {
  const Bfloat16* dy = nullptr;
  const Bfloat16* gated = nullptr;       // branch 0; null without a gate
  const float* gate = nullptr;           // [tokens], or null for 1
  Bfloat16* dbranch[kMaxBranches] = {};  // [tokens, C] each
  const int32_t* place[kMaxBranches] = {};
  float* dgate = nullptr;  // [tokens]; null without a gate
  int32_t branches = 0;
  RowShape shape;
  CUstream_st* stream = nullptr;
};
void branch_mean_backward(const BranchMeanBackward& work);

}  // namespace moga::kernels
