// The oracle: softmax(q kᵀ / √D) v group after group by plain operations in the dtype of q; autograd gives the
// gradient. Nothing here is shared with the other backends, and it may synchronise: it reads offsets on the host.
#include <ATen/ATen.h>

#include <limits>

#include "moga/attention/backends.h"

namespace moga {
namespace {

struct HostRows {
  at::Tensor index;    // int64 [n], device of the data
  at::Tensor offsets;  // int32 [G + 1], CPU

  explicit HostRows(const Rows& rows)
      : index(rows.index.defined() ? rows.index : at::arange(rows.count, rows.offsets.options().dtype(at::kLong))),
        offsets(rows.offsets.cpu()) {}

  // Row numbers of group g.
  at::Tensor of(int64_t g) const {
    const int32_t* at = offsets.const_data_ptr<int32_t>();
    return index.slice(0, at[g], at[g + 1]);
  }
};

}  // namespace

Attended attend_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping) {
  const HostRows query(grouping.query), key(grouping.key);
  const auto lse_dtype = c10::promoteTypes(q.scalar_type(), at::kFloat);
  at::Tensor output = at::zeros_like(q, at::MemoryFormat::Contiguous);  // [Nq, H, D]
  at::Tensor lse = at::full({q.size(0), q.size(1)}, -std::numeric_limits<double>::infinity(),
                            q.options().dtype(lse_dtype));  // [Nq, H]
  std::vector<at::Tensor> rows, outputs, lses;
  for (int64_t g = 0; g < grouping.groups(); ++g) {
    const at::Tensor query_rows = query.of(g), key_rows = key.of(g);
    if (query_rows.size(0) == 0 || key_rows.size(0) == 0) continue;
    const at::Tensor group_q = q.index_select(0, query_rows).transpose(0, 1);            // [H, nq, D]
    const at::Tensor group_k = k.index_select(0, key_rows).permute({1, 2, 0});           // [H, D, nk]
    const at::Tensor group_v = v.index_select(0, key_rows).transpose(0, 1);              // [H, nk, D]
    const at::Tensor scores = at::matmul(group_q, group_k) * attention_scale(q);         // [H, nq, nk]
    rows.push_back(query_rows);
    outputs.push_back(at::matmul(at::softmax(scores, -1), group_v).transpose(0, 1));     // [nq, H, D]
    lses.push_back(at::logsumexp(scores.detach().to(lse_dtype), -1).transpose(0, 1));    // [nq, H]
  }
  if (rows.empty()) return {output, lse};
  const at::Tensor order = at::cat(rows);
  return {output.index_copy(0, order, at::cat(outputs)), lse.index_copy(0, order, at::cat(lses))};
}

}  // namespace moga
