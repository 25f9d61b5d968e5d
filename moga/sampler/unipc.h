// UniPC of order 2 for a rectified flow. Private to the folder: make_solver is the way in.
#pragma once

#include "moga/sampler/solver.h"

namespace moga {

std::unique_ptr<Solver> make_unipc(const std::vector<double>& times);

}  // namespace moga
