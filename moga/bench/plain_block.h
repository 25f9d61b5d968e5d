// The baseline of a block: Wan2.1's block with full attention, written as the public implementations write it: plain
// operations, norms and modulation over float32 copies, dense attention by cuDNN on a GPU. It is also the oracle of the
// block's arithmetic: a test compares the two outputs.
#pragma once

#include "moga/bench/wan_block.h"

namespace moga {

// The same function as the block's forward with kind "full", by its own parameters, for one video. Returns [N, C].
at::Tensor plain_block(const WanBlockWork& work);

}  // namespace moga
