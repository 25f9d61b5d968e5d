// Which set of names a weight file uses: the original repository's, which our modules carry, or diffusers'.
#pragma once

namespace moga {

enum class WeightLayout { kWan, kDiffusers };

}  // namespace moga
