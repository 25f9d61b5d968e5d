// Grouping: which rows attend to which (docs/design.md, section 3). Group g holds query rows and key rows; each query
// attends, by full softmax, to all keys of its group. Routed groups, windows, frames, captions of shots and the videos
// of a batch are all Groupings.
#pragma once

#include <ATen/core/Tensor.h>

#include "moga/attention/layout.h"

namespace moga {

// The rows of every group, concatenated: group g holds index[offsets[g]] … index[offsets[g+1] - 1].
struct Rows {
  at::Tensor index;       // int64 [n] row numbers; undefined: identity, rows 0 … offsets[G] - 1
  at::Tensor offsets;     // int32 [G + 1] on the device of the data
  int64_t longest = 0;    // upper bound on a group's length, known on the host without a synchronisation
  int64_t count = 0;      // n: rows over all groups
  bool repeated = false;  // a row may be in several groups: its gradients accumulate
  // The inverse of the index, int32. If rows are repeated, row r is at places sources[j] of the group order, j from
  // source_offsets[r] to source_offsets[r + 1]. On CUDA also if the index names each of the rows 0 … n - 1 once: row r
  // is at sources[r], and source_offsets is undefined. Otherwise both are undefined.
  at::Tensor sources, source_offsets;
  // Group lengths if the host knows them (static groups); empty for groups made on the device (routed).
  std::vector<int64_t> lengths;
};

// A query row is in at most one group; its output is zero and its lse -inf when it is in none or its group has no keys.
// A key row may be in several groups (windows with boundary keys) or none.
struct Grouping {
  Rows query;
  Rows key;

  int64_t groups() const { return query.offsets.size(0) - 1; }
  Grouping to(c10::Device device) const;
};

// Rows from host lists. An empty `index` means identity; otherwise it has one entry for each row of the groups.
Rows make_rows(const std::vector<int64_t>& lengths, const std::vector<int64_t>& index, c10::Device device);

// Full attention: one group per video.
Grouping full_groups(const Layout& layout, c10::Device device);

// Cross-attention by shot: group s holds the tokens of shot s (numbered over all videos) and text tokens [sum of
// text_lengths up to s, …). `text_lengths` has one entry per shot, layout.shots() in all.
Grouping text_groups(const Layout& layout, const std::vector<int64_t>& text_lengths, c10::Device device);

// STGA (b): every latent frame is a group.
Grouping frame_groups(const Layout& layout, c10::Device device);

// STGA (a): see static_groups.h for the windows.

// Routed groups: token n of video b with group[n] in [0, M) goes to group b·M + group[n]; rows keep their order inside
// a group (stable). `group` [N] holds all tokens of the layout: with tokens spread over ranks, those of all ranks.
// Works on the device and waits for nothing.
Grouping routed_groups(const Layout& layout, const at::Tensor& group, int64_t groups);

}  // namespace moga
