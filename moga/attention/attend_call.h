// What a call of attention returns, and the check of what it is given: used by attend.h and branches.h alike.
#pragma once

#include "moga/attention/grouping.h"

namespace moga {

struct Attended {
  at::Tensor output;
  at::Tensor lse;  // carries no gradient
};

// Throws unless shapes, dtypes and devices agree with each other and with the grouping.
void check_attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping);

}  // namespace moga
