// Rows of groups from host lists (full, frames, captions of shots) and from a routing on the device:
//
//   token n of video b  →  group b·M + g(n);  row order = stable sort of those numbers, offsets = where each begins
//
// A routing is sorted and counted on its device; the host never knows the length of a routed group.
#include "moga/attention/grouping.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "moga/attention/group_order.h"
#include "moga/core/check.h"

namespace moga {
namespace {

template <class T>
at::Tensor on_device(const std::vector<T>& values, c10::Device device) {
  const auto options = at::TensorOptions().dtype(c10::CppTypeToScalarType<T>::value);
  const auto view = at::from_blob(const_cast<T*>(values.data()), {static_cast<int64_t>(values.size())}, options);
  if (device.is_cpu()) return view.clone();
  return view.pin_memory().to(device, /*non_blocking=*/true);  // pageable memory would wait for the device
}

// One more than the largest row.
int64_t rows_up_to(const std::vector<int64_t>& index) { return *std::max_element(index.begin(), index.end()) + 1; }

bool has_repeats(const std::vector<int64_t>& index) {
  if (index.empty()) return false;
  std::vector<char> seen(rows_up_to(index), 0);
  for (const int64_t row : index)
    if (seen[row]++) return true;
  return false;
}

Rows to_device(const Rows& rows, c10::Device device) {
  Rows moved = rows;
  for (at::Tensor* tensor : {&moved.index, &moved.offsets, &moved.sources, &moved.source_offsets})
    if (tensor->defined()) *tensor = tensor->to(device);
  return moved;
}

// Fills in sources and, for repeated rows, source_offsets: a counting sort of the places by their rows.
void invert(Rows& rows, const std::vector<int64_t>& index, c10::Device device) {
  std::vector<int32_t> begin(rows_up_to(index) + 1, 0), places(index.size());
  for (const int64_t row : index) ++begin[row + 1];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<int32_t> next = begin;
  for (size_t place = 0; place < index.size(); ++place) places[next[index[place]]++] = static_cast<int32_t>(place);
  rows.sources = on_device(places, device);
  if (rows.repeated) rows.source_offsets = on_device(begin, device);
}

Grouping same_rows(const std::vector<int64_t>& lengths, c10::Device device) {
  const Rows rows = make_rows(lengths, {}, device);
  return {rows, rows};
}

}  // namespace

Grouping Grouping::to(c10::Device device) const { return {to_device(query, device), to_device(key, device)}; }

Rows make_rows(const std::vector<int64_t>& lengths, const std::vector<int64_t>& index, c10::Device device) {
  Rows rows;
  std::vector<int32_t> offsets{0};
  offsets.reserve(lengths.size() + 1);
  for (const int64_t length : lengths) {
    check(length >= 0, "a group has ", length, " rows");
    rows.count += length;
    rows.longest = std::max(rows.longest, length);
    check(rows.count <= std::numeric_limits<int32_t>::max(), "groups have ", rows.count,
          " rows or more in all; offsets are 32 bits wide");
    offsets.push_back(static_cast<int32_t>(rows.count));
  }
  check(index.empty() || static_cast<int64_t>(index.size()) == rows.count, "groups have ", rows.count,
        " rows in all, the index has ", index.size());
  rows.offsets = on_device(offsets, device);
  if (!index.empty()) rows.index = on_device(index, device);
  rows.repeated = has_repeats(index);
  const bool permutation = !index.empty() && !rows.repeated && rows_up_to(index) == rows.count;
  if (rows.repeated || (permutation && device.is_cuda())) invert(rows, index, device);
  rows.lengths = lengths;
  return rows;
}

Grouping full_groups(const Layout& layout, c10::Device device) {
  layout.validate();
  std::vector<int64_t> lengths;
  for (const VideoShape& video : layout.videos) lengths.push_back(video.tokens());
  return same_rows(lengths, device);
}

Grouping frame_groups(const Layout& layout, c10::Device device) {
  layout.validate();
  std::vector<int64_t> lengths;
  for (const VideoShape& video : layout.videos) lengths.insert(lengths.end(), video.frames, video.frame_tokens());
  return same_rows(lengths, device);
}

Grouping text_groups(const Layout& layout, const std::vector<int64_t>& text_lengths, c10::Device device) {
  layout.validate();
  check(static_cast<int64_t>(text_lengths.size()) == layout.shots(), "text groups: ", text_lengths.size(),
        " captions for ", layout.shots(), " shots, expected one per shot");
  std::vector<int64_t> lengths;
  for (const VideoShape& video : layout.videos)
    for (int64_t shot = 0; shot < video.shots(); ++shot)
      lengths.push_back((video.begin_of_shot(shot + 1) - video.begin_of_shot(shot)) * video.frame_tokens());
  return {make_rows(lengths, {}, device), make_rows(text_lengths, {}, device)};
}

Grouping routed_groups(const Layout& layout, const at::Tensor& group, int64_t groups) {
  layout.validate();
  const int64_t tokens = layout.tokens();
  check(group.dim() == 1 && group.size(0) == tokens, "routing has shape ", group.sizes(), ", expected [", tokens, "]");
  check(groups > 0 && tokens <= std::numeric_limits<int32_t>::max(), "cannot route ", tokens, " tokens to ", groups,
        " groups");
  const GroupOrder order = order_by_group(layout, group, groups);
  Rows rows;
  rows.index = order.index;
  rows.offsets = order.offsets;
  rows.sources = order.places;
  rows.count = tokens;
  for (const VideoShape& video : layout.videos) rows.longest = std::max(rows.longest, video.tokens());
  return {rows, rows};
}

}  // namespace moga
