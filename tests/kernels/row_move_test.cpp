// Rows gathered and scattered are exact copies; the sum over several gathers' gradients against float64.
#include "moga/kernels/row_move.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

at::Tensor indices(int64_t limit, int64_t count) {
  return at::randint(limit, {count}, at::kLong).to(on_gpu(at::kLong));
}

TEST(RowMoveGpu, GatherCopiesRowsAsOftenAsTheyAreNamed) {
  MOGA_NEEDS_GPU();
  for (const kernels::RowShape& shape : kRowShapes) {
    if (shape.videos > 1) continue;  // rows of one video only
    const at::Tensor x = random_on_gpu({900, shape.columns}), index = indices(900, shape.tokens);
    const at::Tensor out = unwritten({shape.tokens, shape.columns});
    kernels::gather_rows({.x = elements(x), .index = pointer<int64_t>(index), .out = elements(out), .shape = shape});
    EXPECT_TRUE(at::equal(out.cpu(), x.cpu().index_select(0, index.cpu()))) << name_of(shape);
  }
}

TEST(RowMoveGpu, ScatterLeavesOtherRowsAsTheyAre) {
  MOGA_NEEDS_GPU();
  for (const kernels::RowShape& shape : kRowShapes) {
    if (shape.videos > 1) continue;
    const int64_t total = shape.tokens + 100;
    const at::Tensor x = random_on_gpu({shape.tokens, shape.columns});
    const at::Tensor index = permutation_on_gpu(total, at::kLong).narrow(0, 0, shape.tokens).contiguous();
    const at::Tensor before = random_on_gpu({total, shape.columns}), out = before.clone();
    kernels::scatter_rows({.x = elements(x), .index = pointer<int64_t>(index), .out = elements(out), .shape = shape});
    EXPECT_TRUE(at::equal(out.cpu(), before.cpu().index_copy(0, index.cpu(), x.cpu()))) << name_of(shape);
  }
}

// One part of a sum on the device, and what it adds to each row in float64.
struct Part {
  at::Tensor x, source, begin;
  int64_t listed;
  at::Tensor adds;
};

at::Tensor added(const at::Tensor& rows, int64_t tokens) {
  return at::cat({rows, at::zeros({tokens - rows.size(0), rows.size(1)}, rows.options())});
}

// Row r is x[r], for the first rows of out.
Part in_order(const kernels::RowShape& shape, int64_t listed) {
  const at::Tensor x = random_on_gpu({listed, shape.columns});
  return {x, {}, {}, listed, added(exact(x), shape.tokens)};
}

// Row r is x[source[r]].
Part shuffled(const kernels::RowShape& shape) {
  const at::Tensor x = random_on_gpu({shape.tokens, shape.columns});
  const at::Tensor source = permutation_on_gpu(shape.tokens, at::kInt);
  return {x, source, {}, shape.tokens, exact(x).index_select(0, source.cpu().to(at::kLong))};
}

// Row r is a sum of 0 to 4 rows of x, named by source.
Part repeated(const kernels::RowShape& shape, int64_t listed) {
  const at::Tensor counts = at::randint(5, {listed}, at::kLong);
  const at::Tensor begin = at::cat({at::zeros({1}, at::kLong), counts.cumsum(0)});
  const int64_t total = begin[listed].item<int64_t>();
  const at::Tensor x = random_on_gpu({total + 1, shape.columns}), source = at::randperm(total, at::kLong);
  const at::Tensor sums =
      at::zeros({listed, shape.columns}, at::kDouble)
          .index_add(0, at::arange(listed, at::kLong).repeat_interleave(counts), exact(x).index_select(0, source));
  return {x, at::cat({source, at::zeros({1}, at::kLong)}).to(on_gpu(at::kInt)), begin.to(on_gpu(at::kInt)), listed,
          added(sums, shape.tokens)};
}

void expect_sum(const kernels::RowShape& shape, const std::vector<Part>& parts) {
  const at::Tensor out = unwritten({shape.tokens, shape.columns});
  kernels::SumRows work = {.parts = static_cast<int32_t>(parts.size()), .out = elements(out), .shape = shape};
  at::Tensor expected = at::zeros({shape.tokens, shape.columns}, at::kDouble);
  for (size_t p = 0; p < parts.size(); ++p) {
    work.part[p] = {elements(parts[p].x), pointer<int32_t>(parts[p].source), pointer<int32_t>(parts[p].begin),
                    parts[p].listed};
    expected = expected + parts[p].adds;
  }
  kernels::sum_rows(work);
  EXPECT_TRUE(rounded_from(out, expected)) << name_of(shape) << ", parts " << parts.size();
}

TEST(RowMoveGpu, SumOfPartsIsWithinRounding) {
  MOGA_NEEDS_GPU();
  for (const kernels::RowShape& shape : kRowShapes) {
    if (shape.videos > 1) continue;
    const int64_t some = (shape.tokens + 1) / 2;
    expect_sum(shape, {in_order(shape, some)});
    expect_sum(shape, {shuffled(shape), repeated(shape, some)});
    expect_sum(shape, {repeated(shape, shape.tokens), in_order(shape, shape.tokens), shuffled(shape)});
  }
}

}  // namespace
}  // namespace moga::test
