// `moga bench products`: the matrix products of one transformer block, with weights in the run's dtype and in 8 bits.
#pragma once

#include "moga/bench/report.h"

namespace moga {

struct ProductBenchConfig {
  int64_t width = 1536, ffn = 8960;  // C, F
  int64_t tokens = 32760;            // N

  void validate() const;
};

// Rows: weights in the dtype; in 8 bits, dequantised for each product; in 8 bits, multiplied in 8 bits where the device
// supports it. FLOP: 2 N (4 C² + 2 C F). Ratio: the time of the first row divided by that of the row.
BenchReport bench_products(const ProductBenchConfig& config, const BenchSetup& setup);

}  // namespace moga
