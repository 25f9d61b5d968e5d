// Balance loss: M · Σ_i F_i · P_i, mean over videos; the factor α is the caller's.
//
//   F_i  fraction of a video's tokens in group i, without gradient
//   P_i  mean over the video's tokens of p(i|x), or of p(i|x) · [g(x) = i] (BalanceForm)
//
// It is computed from counts and from P, both of whole videos. A rank that holds a slice of a video computes its part
// of P; the parts of all ranks add up to P. Counts come from the grouping, which every rank has.
#pragma once

#include "moga/attention/router.h"
#include "moga/attention/segments.h"

namespace moga {

enum class BalanceForm { kSwitch, kPaper };
template <>
inline constexpr auto kChoices<BalanceForm> = std::array{
    Choice{BalanceForm::kSwitch, "switch", "P_i averages p over all tokens (Switch Transformer): 1 at balance"},
    Choice{BalanceForm::kPaper, "paper", "P_i sums p over the tokens of group i only (the paper's eq. 8 as printed)"},
};

struct BalanceTerms {
  at::Tensor counts;         // [B, M] tokens per video and group, int64
  at::Tensor probabilities;  // P [B, M]
};

// This rank's part of P [B, M]. `videos` says which rows of `scores` belong to which video: video_segments(layout), or
// a slice of them.
at::Tensor partial_probabilities(const TokenScores& scores, const Segments& videos, const Layout& layout,
                                 BalanceForm form);

// Tokens per video and group [B, M] int64, on the device.
at::Tensor group_histogram(const Grouping& grouping, const Layout& layout);
at::Tensor group_histogram(const Routing& routing, const Layout& layout);

// The loss, a scalar, from terms summed over ranks; or of a routing of all tokens.
at::Tensor balance_loss(const BalanceTerms& terms, const Layout& layout);
at::Tensor balance_loss(const Routing& routing, const Layout& layout, BalanceForm form = BalanceForm::kSwitch);

}  // namespace moga
