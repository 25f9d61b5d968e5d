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
  std::vector<at::Tensor> saved;  // what the backend's own backward wants besides q, k, v, output and lse
};

struct Backend {
  const char* name;
  const char* serves;  // for error messages and the log
  bool (*can_serve)(const at::Tensor& q);
  GroupedAttention (*forward)(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping);
  // Gradients of q, k, v, rows in group order, from grad [nq, H, D]. Output and lse [nq, H] are the forward's, or those
  // of a softmax that these groups' keys are a part of (combine.h): P = exp(s - lse), dS = P (dO·v - dO·output).
  std::array<at::Tensor, 3> (*backward)(const at::Tensor& grad, const at::Tensor& q, const at::Tensor& k,
                                        const at::Tensor& v, const at::Tensor& output, const at::Tensor& lse,
                                        const std::vector<at::Tensor>& saved, const Grouping& grouping);
};

extern const Backend kCpuBackend;
extern const Backend kSm90Backend;
extern const Backend kFlashBackend;

// The oracle: differentiable plain operations, lse included, any dtype and device. Reads offsets on the host.
Attended attend_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping);

// Throws when the shapes, dtypes and devices do not fit each other.
void check_attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping);
// The same for all groupings of one call, and its gate [Nq] where defined.
void check_attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const std::vector<Grouping>& groupings,
                  const at::Tensor& gate);

// The backend of that name, or the one that "auto" stands for, named in the log; null for the reference. Throws when it
// cannot serve q.
const Backend* choose_backend(const at::Tensor& q, const std::string& name);

// 1 / √D
double attention_scale(const at::Tensor& q);

}  // namespace moga
