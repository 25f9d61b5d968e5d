// Means of p over each video's tokens, one batched view per segment. Everything runs on the device
// of p and waits for nothing.
#include "moga/attention/balance_loss.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"

namespace moga {

namespace {

int64_t tokens_of(const Layout& layout, int64_t video) { return layout.videos[static_cast<size_t>(video)].tokens(); }

// Cut further, so that all videos of a segment have equally many tokens in the layout, not just in the slice.
Segments of_equal_size(const Segments& slice, const Layout& layout) {
  Segments cut;
  for (const Segment& segment : slice)
    for (int64_t i = 0; i < segment.vectors; ++i) {
      const int64_t video = segment.first_vector + i;
      if (i == 0 || tokens_of(layout, video) != tokens_of(layout, video - 1))
        cut.push_back({video, 0, segment.first_row + i * segment.rows, segment.rows});
      ++cut.back().vectors;
    }
  return cut;
}

}  // namespace

at::Tensor partial_probabilities(const TokenScores& scores, const Segments& videos, const Layout& layout,
                                 BalanceForm form) {
  at::Tensor p = scores.probabilities;  // [n, M]
  const int64_t groups = p.size(1);
  if (form == BalanceForm::kPaper) p = p * (scores.group.unsqueeze(1) == at::arange(groups, scores.group.options()));
  std::vector<at::Tensor> parts;  // [videos of the segment, M]
  int64_t next = 0;               // video
  const auto skip_to = [&](int64_t video) {
    if (video > next) parts.push_back(at::zeros({video - next, groups}, p.options()));
  };
  for (const auto& [first, count, row, rows] : of_equal_size(videos, layout)) {
    skip_to(first);
    at::Tensor mean = p.narrow(0, row, count * rows).view({count, rows, groups}).mean(1);
    const int64_t whole = tokens_of(layout, first);
    if (rows != whole) mean = mean * (static_cast<double>(rows) / static_cast<double>(whole));
    parts.push_back(mean);
    next = first + count;
  }
  skip_to(static_cast<int64_t>(layout.videos.size()));
  return parts.size() == 1 ? parts[0] : at::cat(parts);
}

at::Tensor group_histogram(const Grouping& grouping, const Layout& layout) {
  return grouping.query.offsets.diff().view({static_cast<int64_t>(layout.videos.size()), -1}).to(at::kLong);
}

at::Tensor group_histogram(const Routing& routing, const Layout& layout) {
  return group_histogram(routing.grouping, layout);
}

at::Tensor balance_loss(const BalanceTerms& terms, const Layout& layout) {
  const auto& [counts, probabilities] = terms;
  const auto videos = static_cast<int64_t>(layout.videos.size());
  check(probabilities.dim() == 2 && probabilities.size(0) == videos && counts.sizes() == probabilities.sizes(),
        "balance loss: counts are ", counts.sizes(), ", probabilities ", probabilities.sizes(), ", expected [", videos,
        ", M] twice");
  at::Tensor sum = at::zeros({}, probabilities.options());
  for (const Segment& segment : video_segments(layout)) {
    const at::Tensor count = counts.narrow(0, segment.first_vector, segment.vectors);
    const at::Tensor fraction = count.to(probabilities.scalar_type()) / segment.rows;
    sum = sum + (fraction * probabilities.narrow(0, segment.first_vector, segment.vectors)).sum();
  }
  return sum * (static_cast<double>(probabilities.size(1)) / static_cast<double>(videos));
}

at::Tensor balance_loss(const Routing& routing, const Layout& layout, BalanceForm form) {
  return balance_loss({.counts = group_histogram(routing, layout),
                       .probabilities = partial_probabilities(routing, video_segments(layout), layout, form)},
                      layout);
}

}  // namespace moga
