// Means of p over each video's tokens, one batched view per run of videos of equal size. Everything runs on the device
// of p and waits for nothing.
#include "moga/attention/balance_loss.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"

namespace moga {

at::Tensor partial_probabilities(const TokenScores& scores, const std::vector<EqualVideos>& rows, const Layout& layout,
                                 BalanceForm form) {
  at::Tensor p = scores.probabilities;  // [n, M]
  const int64_t groups = p.size(1);
  if (form == BalanceForm::kPaper) p = p * (scores.group.unsqueeze(1) == at::arange(groups, scores.group.options()));
  std::vector<at::Tensor> parts;  // [videos of the run, M]
  int64_t next = 0;               // video
  const auto skip_to = [&](int64_t video) {
    if (video > next) parts.push_back(at::zeros({video - next, groups}, p.options()));
  };
  for (const EqualVideos& run : rows) {
    skip_to(run.first);
    at::Tensor mean = p.narrow(0, run.begin, run.videos * run.tokens).view({run.videos, run.tokens, groups}).mean(1);
    const int64_t whole = layout.videos[static_cast<size_t>(run.first)].tokens();
    if (run.tokens != whole) mean = mean * (static_cast<double>(run.tokens) / static_cast<double>(whole));
    parts.push_back(mean);
    next = run.first + run.videos;
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
  for (const EqualVideos& run : layout.equal_videos()) {
    const at::Tensor count = counts.narrow(0, run.first, run.videos);
    const at::Tensor fraction = count.to(probabilities.scalar_type()) / run.tokens;
    sum = sum + (fraction * probabilities.narrow(0, run.first, run.videos)).sum();
  }
  return sum * (static_cast<double>(probabilities.size(1)) / static_cast<double>(videos));
}

at::Tensor balance_loss(const Routing& routing, const Layout& layout, BalanceForm form) {
  return balance_loss({.counts = group_histogram(routing, layout),
                       .probabilities = partial_probabilities(routing, layout.equal_videos(), layout, form)},
                      layout);
}

}  // namespace moga
