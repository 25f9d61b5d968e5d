// One matrix product, softmax and matrix product per group; autograd derives the gradient.
#include "moga/attention/attend_reference.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace moga {
namespace {

at::Tensor row_numbers(const Rows& rows) {
  return rows.index.defined() ? rows.index : at::arange(rows.count, rows.offsets.options().dtype(at::kLong));
}

// [N, H, D] → the rows of each group, [H, n_g, D]
std::vector<at::Tensor> split(const at::Tensor& x, const Rows& rows) {
  const at::Tensor lengths = rows.offsets.cpu().diff().to(at::kLong);
  const at::IntArrayRef sizes(lengths.const_data_ptr<int64_t>(), lengths.numel());
  std::vector<at::Tensor> groups = at::split_with_sizes(x.index_select(0, row_numbers(rows)), sizes);
  for (at::Tensor& group : groups) group = group.transpose(0, 1);
  return groups;
}

}  // namespace

Attended attend_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(2)));
  const auto lse_dtype = c10::promoteTypes(q.scalar_type(), at::kFloat);
  const std::vector<at::Tensor> queries = split(q, grouping.query), keys = split(k, grouping.key),
                                values = split(v, grouping.key);
  std::vector<at::Tensor> outputs{q.slice(0, 0, 0)}, lses{at::empty({0, q.size(1)}, q.options().dtype(lse_dtype))};
  for (size_t g = 0; g < queries.size(); ++g) {
    const at::Tensor scores = at::matmul(queries[g], keys[g].transpose(1, 2)) * scale;  // [H, nq, nk]
    outputs.push_back(at::matmul(at::softmax(scores, -1), values[g]).transpose(0, 1));  // [nq, H, D]
    lses.push_back(at::logsumexp(scores.to(lse_dtype), -1).transpose(0, 1));            // [nq, H]
  }
  const at::Tensor rows = row_numbers(grouping.query);
  const at::Tensor output = at::zeros(q.sizes(), q.options());  // [Nq, H, D]
  const at::Tensor lse = at::full({q.size(0), q.size(1)}, -kInfinity, lses[0].options());
  return {output.index_copy(0, rows, at::cat(outputs)), lse.index_copy(0, rows, at::cat(lses))};
}

}  // namespace moga
