// Rows into group order and out of it:
//
//   gather_rows    out[i] = x[index[i]]
//   scatter_rows   out[index[i]] = x[i]
//   sum_rows       out[r] = Σ over the parts of x[source[j]], j from begin[r] to begin[r + 1], in float32: the gradient
//                  of several gathers from the same rows, each taking a row as often as it likes, without atomics
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

inline constexpr int kMaxParts = 3;

struct SumRows {
  struct Part {
    const Bfloat16* x = nullptr;
    const int32_t* source = nullptr;  // [begin[listed]]; or null: row r is x[r]
    const int32_t* begin = nullptr;   // [listed + 1]; or null: row r is x[source[r]]
    int64_t listed = 0;               // rows of out that the part holds; it adds nothing to those beyond
  };
  Part part[kMaxParts] = {};
  int32_t parts = 0;
  Bfloat16* out = nullptr;  // [tokens, C]
  RowShape shape;           // of out; one video
  CUstream_st* stream = nullptr;
};
void sum_rows(const SumRows& work);

}  // namespace moga::kernels
