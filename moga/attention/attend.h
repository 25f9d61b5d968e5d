// attend: the one attention operator, softmax(q kᵀ / √D) v inside each group, with gradients for q, k and v.
//
//   q [Nq, H, D]   k, v [Nk, H, D]   →   output [Nq, H, D] in q's dtype, lse [Nq, H] float32 (float64 for float64)
//
// It is the special case of one branch: several groupings with one combined output are branches.h. A backend that
// cannot serve a request throws and says what it serves; the log names the backend in use (backends.h).
#pragma once

#include "moga/attention/attend_call.h"
#include "moga/attention/backends.h"

namespace moga {

class AttentionMemory;

// memory: see attention_memory.h.
Attended attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Grouping& grouping,
                AttentionBackend backend = AttentionBackend::kAuto, AttentionMemory* memory = nullptr);

// The backend that kAuto stands for.
AttentionBackend default_backend(const at::Tensor& q);

}  // namespace moga
