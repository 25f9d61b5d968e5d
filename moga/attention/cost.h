// The arithmetic of a forward pass, counted from shapes: 4 · pairs · H · D a layer for attention, 2 · parameters ·
// tokens for products. `moga flops` prints it.
#pragma once

#include "moga/attention/visual_attention.h"

namespace moga {

// Query-key pairs of each branch over the whole layout; routed groups are counted as balanced (N²/M a video).
struct PairCount {
  double full = 0, routed = 0, window = 0, frame = 0;
  double total = 0;  // of the branches the config uses
};
PairCount count_pairs(const Layout& layout, const VisualAttentionConfig& config);

// 1 - pairs / full pairs: 0.7125 for DESIGN's check (boundary_frames = 0).
double sparsity(const Layout& layout, const VisualAttentionConfig& config);

}  // namespace moga
