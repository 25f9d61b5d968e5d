// The groupings that every backend is tested on, and a call that runs a backend forward and backward on one of them.
#pragma once

#include <string>
#include <vector>

#include "moga/attention/attend.h"
#include "moga/attention/static_groups.h"
#include "tests/support/compare.h"

namespace moga::test {

struct Case {
  std::string name;
  int64_t queries = 0, keys = 0;  // rows of q and of k, v
  Grouping grouping;              // on the CPU
};

// Regular, irregular, empty groups, no keys, one token, all in one group, windows, frames, captions, routed batch,
// rows in no group, more than 65,535 rows.
std::vector<Case> attention_cases();

struct Results {
  at::Tensor output, lse, grad_q, grad_k, grad_v;
};

// Inputs are drawn from `seed` and rounded to bfloat16 first, so that they are the same numbers in every dtype.
Results run_attention(const Case& at, AttentionBackend backend, at::ScalarType dtype, int64_t heads, int64_t size,
                      at::Device device = at::kCPU, uint64_t seed = 1);

// The error of each result of `actual` against the float64 reference is at most `factor` times that of plain operations
// in the same dtype; lse is -inf at the same places.
void expect_as_good_as(const Results& actual, const Results& plain, const Results& reference, double factor,
                       double floor);

std::vector<int64_t> random_order(int64_t count, uint64_t seed);

}  // namespace moga::test
