// The groupings every backend is tested on, and one call that runs a backend forward and backward on one of them.
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

// Inputs are drawn from `seed` and rounded to bfloat16 first, so that every dtype sees the same numbers.
Results run_attention(const Case& at, const std::string& backend, at::ScalarType dtype, int64_t heads, int64_t size,
                      at::Device device = at::kCPU, uint64_t seed = 1);

// Each result of `actual` is as near to the float64 reference as the plain operations in the same dtype are, up to
// `factor`; lse is -inf at the same places.
void expect_as_good_as(const Results& actual, const Results& plain, const Results& reference, double factor,
                       double floor);

std::vector<int64_t> random_order(int64_t count, uint64_t seed);

}  // namespace moga::test
