// The interface of an attention backend: forward and backward over rows that are already in group order.
//
//   group g: q[qo[g] … qo[g+1]) attends to k, v[ko[g] … ko[g+1])
//   qo = grouping.query.offsets, ko = grouping.key.offsets
//
// A backend uses offsets, lengths and counts of the grouping, never its row indices: group_attention.h has already
// gathered the rows. Autograd is in branches.cpp. Private to the folder.
#pragma once

#include <array>
#include <vector>

#include "moga/attention/backends.h"
#include "moga/attention/grouping.h"

namespace moga {

struct GroupedAttention {
  at::Tensor output;              // [nq, H, D], group order
  at::Tensor lse;                 // [nq, H] float32, -inf for a query without keys
  std::vector<at::Tensor> saved;  // further tensors that the backend's own backward needs
};

struct Backend {
  const char* serves;  // for error messages and the log
  bool (*can_serve)(const at::Tensor& q);
  GroupedAttention (*forward)(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping);
  // Gradients of q, k, v in group order from grad [nq, H, D]. output and lse [nq, H] are those of the forward pass, or
  // those of a softmax over more keys than this grouping's (branch_union.h): P = exp(s - lse), dS = P (dO·v -
  // dO·output).
  std::array<at::Tensor, 3> (*backward)(const at::Tensor& grad, const at::Tensor& q, const at::Tensor& k,
                                        const at::Tensor& v, const at::Tensor& output, const at::Tensor& lse,
                                        const std::vector<at::Tensor>& saved, const Grouping& grouping);
};

#define MOGA_DECLARE(value, name, help, object) extern const Backend object;
MOGA_ATTENTION_BACKENDS(MOGA_DECLARE)
#undef MOGA_DECLARE

// The chosen backend, named once in the log. Null for the reference, which does not implement this interface
// (attend_reference.h). Throws when the backend cannot serve q.
const Backend* choose_backend(const at::Tensor& q, AttentionBackend choice);

// 1 / √D
double attention_scale(const at::Tensor& q);

}  // namespace moga
