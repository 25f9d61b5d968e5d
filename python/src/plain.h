// Layouts and Groupings as the tensors and integers that operators take.
//
//   videos   int[]     per video: frames, rows, columns, number of shots, then the latent frames of each shot
//   rows     Tensor[]  per Grouping: index, offsets, sources, source_offsets of the queries, then of the keys;
//                      a tensor without elements stands for one that is not there
//   sizes    int[]     per Grouping: longest, count, repeated of the queries, then of the keys
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "moga/attention/grouping.h"

namespace moga::python {

inline constexpr size_t kRowTensors = 8, kRowSizes = 6;  // of a Grouping

Layout layout_of(at::IntArrayRef videos);

// Throws unless there are 8 tensors and 6 numbers for each Grouping.
std::vector<Grouping> groupings_of(at::TensorList rows, at::IntArrayRef sizes);

std::vector<at::Tensor> rows_of(const Grouping& grouping);
std::vector<int64_t> sizes_of(const Grouping& grouping);

}  // namespace moga::python
