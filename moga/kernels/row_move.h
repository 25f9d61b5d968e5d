// Rows into group order and out of it:
//
//   gather_rows    out[i] = x[index[i]]
//   scatter_rows   out[index[i]] = x[i]
//   sum_rows       out[r] = Σ x[source[j]], j from begin[r] to begin[r + 1], in float32: the gradient of a gather in
//                  which a row may be taken several times, without atomics
//
// No torch.
#pragma once

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/rows.h"

namespace moga::kernels {

struct GatherRows {
  const Bfloat16* x = nullptr;
  const int64_t* index = nullptr;  // [tokens]
  Bfloat16* out = nullptr;         // [tokens, C]
  RowShape shape;                  // of out; one video
  CUstream_st* stream = nullptr;
};
void gather_rows(const GatherRows& work);

struct ScatterRows {
  const Bfloat16* x = nullptr;     // [tokens, C]
  const int64_t* index = nullptr;  // [tokens], each row once
  Bfloat16* out = nullptr;         // rows that no index names are left as they are
  RowShape shape;                  // of x; one video
  CUstream_st* stream = nullptr;
};
void scatter_rows(const ScatterRows& work);

struct SumRows {
  const Bfloat16* x = nullptr;
  const int32_t* begin = nullptr;   // [listed + 1]
  const int32_t* source = nullptr;  // [begin[listed]]
  int64_t listed = 0;               // rows beyond are zero
  Bfloat16* out = nullptr;          // [tokens, C]
  RowShape shape;                   // of out; one video
  CUstream_st* stream = nullptr;
};
void sum_rows(const SumRows& work);

}  // namespace moga::kernels
