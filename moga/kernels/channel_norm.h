// The VAE's norm over the channels of each pixel, and the SiLU after it, in one pass:
//
//   y = act(x · √C / max(‖x‖, 1e-12) · γ)      act: SiLU or nothing
//
// Channels-last pixels are rows [tokens, C]. The last rows can also be written to a second buffer for the next chunk of
// the clip. Forward only: nothing is saved for a backward pass. No torch.
#pragma once

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/rows.h"

namespace moga::kernels {

inline constexpr int32_t kMaxChannels = 1024;

struct ChannelNorm {
  const Bfloat16* x = nullptr;      // [tokens, C]
  const Bfloat16* gamma = nullptr;  // [C]
  Bfloat16* y = nullptr;            // [tokens, C]; may be x
  Bfloat16* kept = nullptr;         // [tokens − kept_from, C], copy of the last rows of y, or null
  int64_t kept_from = 0;
  bool silu = false;
  int64_t tokens = 0;
  int32_t channels = 0;  // C, a multiple of 8, at most kMaxChannels
  CUstream_st* stream = nullptr;
};
void channel_norm(const ChannelNorm& work);

}  // namespace moga::kernels
