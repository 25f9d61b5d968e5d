// UniPC of order 2 for a rectified flow. Private to this folder; callers use make_solver.
#pragma once

#include "moga/sampler/solver.h"

namespace moga {

std::unique_ptr<Solver> make_unipc(const std::vector<double>& times);

}  // namespace moga
