// Tensors of the kernel tests: random inputs and NaN-filled outputs on the GPU, float64 copies on the host for the
// reference, and the pointers that kernels take.
//
// Two measures: a bfloat16 result may be off by at most twice the error of rounding the reference to bfloat16, a
// float32 result by kFloatError of its norm. Outputs begin as NaN and both measures compare NaN masks, so an element
// that no thread wrote is a failure.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "moga/kernels/bfloat16.h"
#include "moga/kernels/rows.h"
#include "tests/support/compare.h"

namespace moga::test {

constexpr double kFloatError = 1e-5;  // sums of up to 70,000 float32 products; one missing row of them is over 1e-3

inline at::TensorOptions on_gpu(at::ScalarType type) { return at::TensorOptions(at::kCUDA).dtype(type); }

// Normally distributed, drawn on the host, so that the default seed yields the same values on every GPU.
inline at::Tensor random_on_gpu(at::IntArrayRef shape, at::ScalarType type = at::kBFloat16, double deviation = 1,
                                double mean = 0) {
  return (at::randn(shape) * deviation + mean).to(on_gpu(type));
}

inline at::Tensor permutation_on_gpu(int64_t count, at::ScalarType type) {
  return at::randperm(count, at::kLong).to(on_gpu(type));
}

inline at::Tensor unwritten(at::IntArrayRef shape, at::ScalarType type = at::kBFloat16) {
  return at::full(shape, NAN, on_gpu(type));
}

// The pointer of an undefined tensor is null.
template <class T>
T* pointer(const at::Tensor& x) {
  return x.defined() ? x.data_ptr<T>() : nullptr;
}
inline kernels::Bfloat16* elements(const at::Tensor& x) {
  return reinterpret_cast<kernels::Bfloat16*>(pointer<at::BFloat16>(x));
}
inline float* floats(const at::Tensor& x) { return pointer<float>(x); }

// A float64 copy on the host.
inline at::Tensor exact(const at::Tensor& x) { return x.cpu().to(at::kDouble); }

inline at::Tensor scratch_for(const kernels::RowShape& shape, int64_t sums) {
  return unwritten({sums * static_cast<int64_t>(kernels::partial_sums(shape))}, at::kFloat);
}

// vectors [videos, C] → [videos · tokens, C], the vector of each row's video.
inline at::Tensor for_every_row(const at::Tensor& vectors, const kernels::RowShape& shape) {
  return exact(vectors).repeat_interleave(shape.tokens, 0);
}

// Sums over the rows of each video: [videos · tokens, C] → [videos, C].
inline at::Tensor sum_of_rows(const at::Tensor& rows, const kernels::RowShape& shape) {
  return rows.view({shape.videos, shape.tokens, shape.columns}).sum(1);
}

inline testing::AssertionResult rounded_from(const at::Tensor& actual, const at::Tensor& reference) {
  return as_good_as(actual.cpu(), reference.to(at::kBFloat16), reference);
}

inline testing::AssertionResult float_of(const at::Tensor& actual, const at::Tensor& reference) {
  return close(actual.cpu(), reference, kFloatError);
}

// One row, fewer rows than a CTA has teams, more than 65,535 rows, and rows of 1 … 16 warps.
inline const kernels::RowShape kRowShapes[] = {
    {1, 1, 8}, {2, 7, 64}, {3, 1000, 320}, {1, 66001, 64}, {2, 33, 1536}, {1, 19, 5120}, {1, 5, kernels::kMaxColumns}};

inline std::string name_of(const kernels::RowShape& shape) {
  return std::to_string(shape.videos) + " videos of " + std::to_string(shape.tokens) + " rows of " +
         std::to_string(shape.columns);
}

}  // namespace moga::test
