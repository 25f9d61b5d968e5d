// Seeded inputs and a router whose parameters are among them, so that gradients reach these. See branch_cases.h.
#include "tests/attention/branch_cases.h"

#include <torch/types.h>

#include "moga/core/random.h"

namespace moga::test {

VisualAttentionConfig combined_config(Combine combine, Gate gate) {
  VisualAttentionConfig config;
  config.combine = combine;
  config.gate = gate;
  config.groups = kBranchGroups;
  config.windows = {.rows = 2, .columns = 2, .run_frames = 2, .boundary_frames = 1};
  return config;
}

at::Tensor branch_random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, random_stream(seed, "branch_cases"), at::kDouble);
}

Tensors branch_inputs(int64_t heads, int64_t size, uint64_t draw) {
  const int64_t width = heads * size;
  return {branch_random({kBranchTokens, heads, size}, 6 * draw + 1),
          branch_random({kBranchTokens, heads, size}, 6 * draw + 2),
          branch_random({kBranchTokens, heads, size}, 6 * draw + 3),
          branch_random({kBranchTokens, width}, 6 * draw + 4),
          branch_random({kBranchGroups, width}, 6 * draw + 5),
          branch_random({kBranchGroups}, 6 * draw + 6)};
}

Routing branch_routing(const Tensors& in, Gate gate) {
  Router router(in[4].size(1), kBranchGroups, gate);
  router->weight = in[4];
  router->bias = in[5];
  return router->forward(in[3], kBranchLayout);
}

at::Tensor run_branches(const Tensors& in, const VisualAttentionConfig& config, AttentionMemory* memory) {
  const Routing routing = branch_routing(in, config.gate);
  const StaticGroupings groupings = static_groupings(kBranchLayout, config, in[0].device());
  return visual_attention(in[0], in[1], in[2], &routing, groupings, config, memory);
}

}  // namespace moga::test
