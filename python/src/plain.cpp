// See plain.h.
#include "plain.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"

namespace moga::python {
namespace {

at::Tensor present(const at::Tensor& x) { return x.numel() > 0 ? x : at::Tensor(); }

at::Tensor or_empty(const at::Tensor& x, at::ScalarType dtype, const at::Tensor& like) {
  return x.defined() ? x : at::empty({0}, like.options().dtype(dtype));
}

Rows rows_from(const at::Tensor* tensors, const int64_t* sizes) {
  Rows rows;
  rows.index = present(tensors[0]);
  rows.offsets = tensors[1];
  rows.sources = present(tensors[2]);
  rows.source_offsets = present(tensors[3]);
  rows.longest = sizes[0];
  rows.count = sizes[1];
  rows.repeated = sizes[2] != 0;
  return rows;
}

}  // namespace

Layout layout_of(at::IntArrayRef videos) {
  Layout layout;
  for (size_t at = 0; at < videos.size();) {
    check(at + 4 <= videos.size() && videos[at + 3] >= 0 && at + 4 + videos[at + 3] <= videos.size(),
          "layout: ", videos.size(),
          " numbers; expected frames, rows, columns, shots and the frames of each shot, for each video");
    const auto shot = videos.slice(at + 4, videos[at + 3]);
    layout.videos.push_back({videos[at], videos[at + 1], videos[at + 2], shot.vec()});
    at += 4 + shot.size();
  }
  layout.validate();
  return layout;
}

std::vector<Grouping> groupings_of(at::TensorList rows, at::IntArrayRef sizes) {
  check(!rows.empty() && rows.size() % kRowTensors == 0 && sizes.size() * kRowTensors == rows.size() * kRowSizes,
        "groupings: ", rows.size(), " tensors and ", sizes.size(), " numbers, expected ", kRowTensors, " and ",
        kRowSizes, " for each grouping");
  std::vector<Grouping> groupings;
  for (size_t g = 0; g < rows.size() / kRowTensors; ++g) {
    const at::Tensor* tensors = rows.data() + g * kRowTensors;
    const int64_t* numbers = sizes.data() + g * kRowSizes;
    groupings.push_back({rows_from(tensors, numbers), rows_from(tensors + 4, numbers + 3)});
  }
  return groupings;
}

std::vector<at::Tensor> rows_of(const Grouping& grouping) {
  std::vector<at::Tensor> tensors;
  for (const Rows* rows : {&grouping.query, &grouping.key})
    tensors.insert(tensors.end(), {or_empty(rows->index, at::kLong, rows->offsets), rows->offsets,
                                   or_empty(rows->sources, at::kInt, rows->offsets),
                                   or_empty(rows->source_offsets, at::kInt, rows->offsets)});
  return tensors;
}

std::vector<int64_t> sizes_of(const Grouping& grouping) {
  std::vector<int64_t> sizes;
  for (const Rows* rows : {&grouping.query, &grouping.key})
    sizes.insert(sizes.end(), {rows->longest, rows->count, rows->repeated ? 1 : 0});
  return sizes;
}

}  // namespace moga::python
