// The baseline of a block: Wan2.1's block with full attention, written as the public implementations write it: plain
// operations, norms and modulation over float32 copies, dense attention by cuDNN on a GPU. The oracle of the block's
// arithmetic as well: a test holds both to the same output.
#pragma once

#include "moga/model/wan/block.h"

namespace moga {

// The same function as the block's forward with kind "full", by its own parameters. `text_lengths`: text tokens of each
// shot. x [N, C] of one video → [N, C].
at::Tensor plain_block(const BlockImpl& block, const BlockConfig& config, const BlockContext& context,
                       const std::vector<int64_t>& text_lengths, const at::Tensor& x);

}  // namespace moga
