// The rows of all ranks on every rank, with a gradient:
//
//   y = [x_0; x_1; …; x_{P−1}]      dL/dx_r = the rows of rank r in dL/dy
//
// For a loss that every rank computes from y in the same way, as with all_sum.h: each rank knows dL/dy, so the backward
// pass exchanges nothing, and parameter gradients of the ranks add up to the gradient of L.
#pragma once

#include "moga/parallel/process_group.h"

namespace moga {

// x [counts[rank], …] → [Σ counts, …]. `counts`: rows of each rank, known on the host.
at::Tensor gather_rows(const ProcessGroup& group, const at::Tensor& x, const std::vector<int64_t>& counts);

}  // namespace moga
