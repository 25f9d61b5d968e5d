// Which set of names a weight file uses: the original repository's, which our modules carry, or diffusers'.
#pragma once

#include "moga/core/choice.h"

namespace moga {

enum class WeightLayout { kWan, kDiffusers };
template <>
inline constexpr auto kChoices<WeightLayout> = std::array{
    Choice{WeightLayout::kDiffusers, "diffusers", "those of diffusers and transformers"},
    Choice{WeightLayout::kWan, "wan", "those of the original Wan2.1"},
};

}  // namespace moga
