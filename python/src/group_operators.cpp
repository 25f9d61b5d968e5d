// Operators that make Groupings: of a layout (full, windows, frames, captions) and of a routing.
//
// Those of a layout return the 8 tensors of plain.h; moga::group_shapes says beforehand how long these will be,
// followed by the 6 numbers, without making them on a device.
#include <ATen/ATen.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include "moga/attention/static_groups.h"
#include "moga/core/check.h"
#include "plain.h"

namespace moga::python {
namespace {

using Ints = at::IntArrayRef;
using Tensors = std::vector<at::Tensor>;

WindowConfig windows_from(Ints windows) {
  check(windows.size() == 4, "windows: ", windows.size(),
        " numbers, expected rows, columns, run_frames, boundary_frames");
  return {.rows = windows[0], .columns = windows[1], .run_frames = windows[2], .boundary_frames = windows[3]};
}

// kind: full, frame, window, text. numbers: of windows or captions.
Grouping static_grouping(std::string_view kind, Ints videos, Ints numbers, c10::Device device) {
  const Layout layout = layout_of(videos);
  if (kind == "full") return full_groups(layout, device);
  if (kind == "frame") return frame_groups(layout, device);
  if (kind == "window") return window_groups(layout, windows_from(numbers), device);
  check(kind == "text", "grouping '", kind, "' is not one of full, frame, window, text");
  return text_groups(layout, numbers.vec(), device);
}

// Rows that name each row once have an inverse on CUDA only (grouping.h).
bool inverted_on_cuda_only(const Rows& rows) {
  if (!rows.index.defined() || rows.repeated || rows.count == 0) return false;
  return rows.index.max().item<int64_t>() + 1 == rows.count;
}

std::vector<int64_t> group_shapes(std::string_view kind, Ints videos, Ints numbers, bool cuda) {
  // Host arithmetic on real tensors, also while the caller traces with fake ones.
  const c10::impl::ExcludeDispatchKeyGuard untraced(
      c10::DispatchKeySet({c10::DispatchKey::Python, c10::DispatchKey::PythonTLSSnapshot}));
  const Grouping grouping = static_grouping(kind, videos, numbers, at::kCPU);
  std::vector<int64_t> shapes;
  for (const at::Tensor& tensor : rows_of(grouping)) shapes.push_back(tensor.size(0));
  if (cuda && inverted_on_cuda_only(grouping.query)) shapes[2] = grouping.query.count;
  if (cuda && inverted_on_cuda_only(grouping.key)) shapes[6] = grouping.key.count;
  const std::vector<int64_t> sizes = sizes_of(grouping);
  shapes.insert(shapes.end(), sizes.begin(), sizes.end());
  return shapes;
}

// A tensor is a result of an operator once only.
Tensors distinct(Tensors tensors) {
  for (size_t i = 4; i < tensors.size(); ++i)
    if (tensors[i].is_same(tensors[i - 4])) tensors[i] = tensors[i].clone();
  return tensors;
}

Tensors full_operator(Ints videos, c10::Device device) {
  return distinct(rows_of(static_grouping("full", videos, {}, device)));
}

Tensors frame_operator(Ints videos, c10::Device device) {
  return distinct(rows_of(static_grouping("frame", videos, {}, device)));
}

Tensors window_operator(Ints videos, Ints windows, c10::Device device) {
  return rows_of(static_grouping("window", videos, windows, device));
}

Tensors text_operator(Ints videos, Ints text_lengths, c10::Device device) {
  return rows_of(static_grouping("text", videos, text_lengths, device));
}

// The inverse of the index is always there: its length does not depend on the device.
std::tuple<at::Tensor, at::Tensor, at::Tensor> routed_operator(const at::Tensor& group, int64_t groups, Ints videos) {
  const Rows rows = routed_groups(layout_of(videos), group, groups).query;
  at::Tensor places = rows.sources;
  if (!places.defined()) {
    places = at::empty({rows.count}, rows.offsets.options());
    places.index_copy_(0, rows.index, at::arange(rows.count, places.options()));
  }
  return {rows.index, rows.offsets, places};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(moga, library) {
  library.def("group_shapes(str kind, int[] videos, int[] numbers, bool cuda) -> int[]", group_shapes);
  library.def("full_groups(int[] videos, *, Device device) -> Tensor[]");
  library.def("frame_groups(int[] videos, *, Device device) -> Tensor[]");
  library.def("window_groups(int[] videos, int[] windows, *, Device device) -> Tensor[]");
  library.def("text_groups(int[] videos, int[] text_lengths, *, Device device) -> Tensor[]");
  library.def("routed_groups(Tensor group, int groups, int[] videos) -> (Tensor index, Tensor offsets, Tensor places)");
}

TORCH_LIBRARY_IMPL(moga, CompositeExplicitAutograd, library) {
  library.impl("full_groups", full_operator);
  library.impl("frame_groups", frame_operator);
  library.impl("window_groups", window_operator);
  library.impl("text_groups", text_operator);
  library.impl("routed_groups", routed_operator);
}

}  // namespace moga::python
