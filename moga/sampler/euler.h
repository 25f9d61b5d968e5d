// Euler's method for a rectified flow. Private to this folder; callers use make_solver.
#pragma once

#include "moga/sampler/solver.h"

namespace moga {

std::unique_ptr<Solver> make_euler(const std::vector<double>& times);

}  // namespace moga
