// The way of one attention call over ranks: q, k, v to the shares, attention of each share, outputs back. One autograd
// function. Private to the folder.
//
// Rows travel in rounds, one for each share of a rank (exchange_plan.h). All rounds are sent at the start; while a
// share computes, those after it arrive and the output of the one before it returns. The backward pass goes through the
// rounds in the reverse order. Every rank takes part in all rounds, also in those where it has no share: the order of
// the collectives is written here and does not depend on the order in which autograd runs its nodes.
#pragma once

#include "moga/attention/exchange_rows.h"

namespace moga {

// `replayed`: attend_share reads its q, k and v in the backward pass only, because it takes its results from an
// AttentionMemory; they then arrive during what follows. See SequenceExchange::attend.
at::Tensor attend_shares(const std::shared_ptr<const ExchangeState>& state, const at::Tensor& q, const at::Tensor& k,
                         const at::Tensor& v, const SpreadGate& gate, const SequenceExchange::AttendShare& attend_share,
                         bool replayed);

}  // namespace moga
