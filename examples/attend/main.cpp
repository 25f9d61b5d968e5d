// Visual attention over a video of two shots: routed groups, windows and frames, as inside a transformer block.
#include <ATen/ATen.h>

#include <iostream>

#include "moga/attention/visual_attention.h"

int main() {
  const moga::Layout layout{{{.frames = 8, .rows = 6, .columns = 10, .shot_frames = {5, 3}}}};
  const moga::VisualAttentionConfig config{.groups = 4};
  moga::Router router(/*width=*/64, config.groups, config.gate);
  const at::Tensor x = at::randn({layout.tokens(), 64});  // what q, k, v are projected from
  const at::Tensor q = at::randn({layout.tokens(), 2, 32}), k = at::randn_like(q), v = at::randn_like(q);
  const moga::StaticGroupings groupings = moga::static_groupings(layout, config, at::kCPU);
  const moga::Routing routing = router(x, layout);
  const at::Tensor output = moga::visual_attention(q, k, v, &routing, groupings, config);
  std::cout << output.sizes() << " balance " << moga::balance_loss(routing, layout).item<double>() << std::endl;
}
