// CPU backend: ATen's tiled SDPA kernel, called once per run of adjacent groups of equal lengths, which are one batch
// [b, H, length, D] that is a view of the rows. Nothing is padded. Offsets are in host memory, so they are read here.
#include <ATen/ATen.h>

#include <limits>

#include "moga/attention/backend.h"

namespace moga {
namespace {

// Adjacent groups of equal lengths.
struct Batch {
  int64_t groups, queries, keys;  // lengths of one group
  int64_t query_begin, key_begin;

  bool empty() const { return queries == 0 || keys == 0; }
};

std::vector<Batch> equal_batches(const Grouping& grouping) {
  const int32_t* query = grouping.query.offsets.const_data_ptr<int32_t>();
  const int32_t* key = grouping.key.offsets.const_data_ptr<int32_t>();
  std::vector<Batch> batches;
  for (int64_t g = 0; g < grouping.groups(); ++g) {
    const int64_t queries = query[g + 1] - query[g], keys = key[g + 1] - key[g];
    if (batches.empty() || batches.back().queries != queries || batches.back().keys != keys)
      batches.push_back({0, queries, keys, query[g], key[g]});
    ++batches.back().groups;
  }
  return batches;
}

// [n, H, …] rows from `begin` on → [b, H, length, …]
at::Tensor split(const at::Tensor& rows, int64_t begin, int64_t groups, int64_t length) {
  return rows.narrow(0, begin, groups * length).unflatten(0, {groups, length}).transpose(1, 2);
}

// [b, H, length, …] → [b · length, H, …]
at::Tensor join(const at::Tensor& batch) { return batch.transpose(1, 2).flatten(0, 1); }

at::Tensor join_all(const std::vector<at::Tensor>& parts, const at::Tensor& like) {
  if (parts.empty()) return at::zeros_like(like, at::MemoryFormat::Contiguous);
  return parts.size() == 1 ? parts[0] : at::cat(parts);
}

bool can_serve(const at::Tensor& q) {
  return q.is_cpu() && (q.scalar_type() == at::kFloat || q.scalar_type() == at::kBFloat16);
}

GroupedAttention forward(const at::Tensor& q_rows, const at::Tensor& k_rows, const at::Tensor& v_rows,
                         const Grouping& grouping) {
  const at::Tensor q = q_rows.contiguous(), k = k_rows.contiguous(), v = v_rows.contiguous();
  std::vector<at::Tensor> outputs, lses;
  for (const Batch& batch : equal_batches(grouping)) {
    const int64_t rows = batch.groups * batch.queries;
    if (batch.empty()) {
      outputs.push_back(at::zeros({rows, q.size(1), q.size(2)}, q.options()));
      lses.push_back(at::full({rows, q.size(1)}, -std::numeric_limits<float>::infinity(), at::kFloat));
      continue;
    }
    const auto [output, lse] = at::_scaled_dot_product_flash_attention_for_cpu(
        split(q, batch.query_begin, batch.groups, batch.queries), split(k, batch.key_begin, batch.groups, batch.keys),
        split(v, batch.key_begin, batch.groups, batch.keys), /*dropout_p=*/0.0, /*is_causal=*/false,
        /*attn_mask=*/std::nullopt, attention_scale(q));
    outputs.push_back(join(output));
    lses.push_back(join(lse));
  }
  return {join_all(outputs, q), join_all(lses, at::empty({q.size(0), q.size(1)}, at::kFloat)), {}};
}

std::array<at::Tensor, 3> backward(const at::Tensor& grad, const at::Tensor& q_rows, const at::Tensor& k_rows,
                                   const at::Tensor& v_rows, const at::Tensor& output, const at::Tensor& lse,
                                   const std::vector<at::Tensor>&, const Grouping& grouping) {
  const at::Tensor q = q_rows.contiguous(), k = k_rows.contiguous(), v = v_rows.contiguous();
  std::vector<at::Tensor> grad_q, grad_k, grad_v;
  for (const Batch& batch : equal_batches(grouping)) {
    if (batch.empty()) {
      grad_q.push_back(at::zeros({batch.groups * batch.queries, q.size(1), q.size(2)}, q.options()));
      grad_k.push_back(at::zeros({batch.groups * batch.keys, k.size(1), k.size(2)}, k.options()));
      grad_v.push_back(grad_k.back());
      continue;
    }
    const auto queries = [&](const at::Tensor& x) { return split(x, batch.query_begin, batch.groups, batch.queries); };
    const auto keys = [&](const at::Tensor& x) { return split(x, batch.key_begin, batch.groups, batch.keys); };
    const auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
        queries(grad), queries(q), keys(k), keys(v), queries(output), queries(lse), /*dropout_p=*/0.0,
        /*is_causal=*/false, /*attn_mask=*/std::nullopt, attention_scale(q));
    grad_q.push_back(join(dq));
    grad_k.push_back(join(dk));
    grad_v.push_back(join(dv));
  }
  return {join_all(grad_q, q), join_all(grad_k, k), join_all(grad_v, v)};
}

}  // namespace

const Backend kCpuBackend{"ATen's SDPA for each group: float32 and bfloat16 on a CPU", can_serve, forward, backward};

}  // namespace moga
