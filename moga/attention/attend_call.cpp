// See attend_call.h.
#include "moga/attention/attend_call.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"
#include "moga/core/device.h"

namespace moga {
namespace {

void check_rows(const Rows& rows, int64_t available, const at::Tensor& q, const char* what) {
  check(rows.offsets.defined() && rows.offsets.scalar_type() == at::kInt && rows.offsets.device() == q.device(),
        "attend: ", what, " offsets must be int32 on ", q.device());
  check(!rows.index.defined() || (rows.index.scalar_type() == at::kLong && rows.index.device() == q.device()),
        "attend: ", what, " index must be int64 on ", q.device());
  check(rows.repeated || rows.count <= available, "attend: groups have ", rows.count, " ", what,
        " rows, there are only ", available);
}

}  // namespace

void check_attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping) {
  check(q.dim() == 3 && k.dim() == 3 && k.sizes() == v.sizes() && q.sizes().slice(1) == k.sizes().slice(1),
        "attend: q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes(), "; expected [Nq, H, D] and twice [Nk, H, D]");
  check(q.scalar_type() == k.scalar_type() && q.scalar_type() == v.scalar_type(), "attend: q is ",
        dtype_name(q.scalar_type()), ", k ", dtype_name(k.scalar_type()), ", v ", dtype_name(v.scalar_type()));
  check(q.device() == k.device() && q.device() == v.device(), "attend: q is on ", q.device(), ", k on ", k.device(),
        ", v on ", v.device());
  check_rows(grouping.query, q.size(0), q, "query");
  check_rows(grouping.key, k.size(0), q, "key");
  check(!grouping.query.repeated, "attend: a query row is in several groups; it may be in one");
  check(grouping.query.offsets.sizes() == grouping.key.offsets.sizes(), "attend: ", grouping.query.offsets.size(0) - 1,
        " groups of queries, ", grouping.key.offsets.size(0) - 1, " groups of keys");
}

}  // namespace moga
