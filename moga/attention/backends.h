// What an attention backend is to attend.cpp: forward and backward over rows that already lie in group order.
//
//   group g: q[qo[g] … qo[g+1]) attends to k, v[ko[g] … ko[g+1]),  qo = grouping.query.offsets, ko =
//   grouping.key.offsets
//
// Gathering and scattering of rows, checks and autograd are attend.cpp's; the reference does without this seam.
#pragma once

#include <array>
#include <vector>

#include "moga/attention/attend.h"

namespace moga {

struct GroupedAttention {
  at::Tensor output;              // [nq, H, D], group order
  at::Tensor lse;                 // [nq, H] float32, -inf for a query without keys
  std::vector<at::Tensor> saved;  // what the backend's own backward wants besides q, k, v and the output
};

struct Backend {
  const char* name;
  const char* serves;  // for error messages and the log
  bool (*can_serve)(const at::Tensor& q);
  GroupedAttention (*forward)(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping);
  // Gradients of q, k, v, rows in group order, from grad [nq, H, D].
  std::array<at::Tensor, 3> (*backward)(const at::Tensor& grad, const at::Tensor& q, const at::Tensor& k,
                                        const at::Tensor& v, const at::Tensor& output,
                                        const std::vector<at::Tensor>& saved, const Grouping& grouping);
};

extern const Backend kCpuBackend;
extern const Backend kFlashBackend;

// The oracle: differentiable plain operations, any dtype and device. Reads offsets on the host.
Attended attend_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping);

// 1 / √D
double attention_scale(const at::Tensor& q);

}  // namespace moga
