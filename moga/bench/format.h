// Formats units for tables. Private to bench.
#pragma once

#include "moga/core/format.h"

namespace moga {

inline constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

}  // namespace moga
