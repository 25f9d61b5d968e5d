// Moves rows into group order and back:
//
//   gather_rows    out[i] = x[index[i]]
//   scatter_rows   out[index[i]] = x[i]
//   sum_rows       out[r] = sum over the parts of Σ x[source[j]], j from begin[r] to begin[r + 1], in float32: the
//                  gradient of several gathers from the same rows, in which a row may occur repeatedly; no atomics
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
  Bfloat16* out = nullptr;         // rows not in `index` are left unchanged
  RowShape shape;                  // of x; one video
  CUstream_st* stream = nullptr;
};
void scatter_rows(const ScatterRows& work);

inline constexpr int kMaxParts = 3;

struct SumRows {
  struct Part {
    const Bfloat16* x = nullptr;
    const int32_t* source = nullptr;  // [begin[listed]]; or null: row r is x[r] only
    const int32_t* begin = nullptr;   // [listed + 1]; or null: row r is x[source[r]]
    int64_t listed = 0;               // the part contributes to rows [0, listed) of out
  };
  Part part[kMaxParts] = {};
  int32_t parts = 0;
  Bfloat16* out = nullptr;  // [tokens, C]
  RowShape shape;           // of out; one video
  CUstream_st* stream = nullptr;
};
void sum_rows(const SumRows& work);

}  // namespace moga::kernels
