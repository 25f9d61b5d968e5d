// Slices, and the groupings of a share. See exchange.h.
#include "moga/attention/exchange.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "moga/attention/exchange_trip.h"
#include "moga/attention/group_order.h"
#include "moga/core/check.h"

namespace moga {
std::vector<int64_t> sequence_slices(const Layout& layout, int64_t ranks, double slack) {
  check(ranks > 0, "a sequence over ", ranks, " ranks");
  std::vector<int64_t> frame_ends{0};
  for (const VideoShape& video : layout.videos)
    for (int64_t frame = 0; frame < video.frames; ++frame)
      frame_ends.push_back(frame_ends.back() + video.frame_tokens());
  const int64_t tokens = frame_ends.back();
  std::vector<int64_t> equal, framed;
  int64_t begin = 0, framed_begin = 0;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const int64_t end = tokens * (rank + 1) / ranks;
    const auto after = std::ranges::lower_bound(frame_ends, end);
    const bool earlier = after != frame_ends.begin() && end - *(after - 1) < *after - end;
    const int64_t framed_end = earlier ? *(after - 1) : *after;
    equal.push_back(end - begin);
    framed.push_back(framed_end - framed_begin);
    begin = end;
    framed_begin = framed_end;
  }
  const double mean = static_cast<double>(tokens) / static_cast<double>(ranks);
  return static_cast<double>(*std::ranges::max_element(framed)) <= slack * mean ? framed : equal;
}

SequenceExchange::SequenceExchange(const ProcessGroup& group, const Layout& layout, int64_t heads,
                                   const std::vector<int64_t>& slice_rows, c10::Device device)
    : state_(make_exchange_state(group, layout, ExchangePlan(heads, slice_rows), device)) {}

const ExchangePlan& SequenceExchange::plan() const { return state_->plan; }
const std::vector<OwnShare>& SequenceExchange::shares() const { return state_->shares; }

at::Tensor SequenceExchange::gather(const at::Tensor& x) const {
  return state_->group.all_gather(x.detach().contiguous(), state_->plan.slice_rows());
}

Grouping SequenceExchange::of_share(const Grouping& grouping, const OwnShare& share) const {
  if (share.whole) return grouping;
  const at::Tensor offsets = grouping.query.offsets.cpu();
  const at::Tensor index =
      grouping.query.index.defined() ? grouping.query.index.cpu() : at::arange(grouping.query.count, at::kLong);
  const int64_t* tokens = index.const_data_ptr<int64_t>();
  const int32_t* begin = offsets.const_data_ptr<int32_t>();
  std::vector<int64_t> number(state_->plan.tokens(), -1), lengths, rows;  // number: of a token in the share
  for (size_t i = 0; i < share.host_tokens.size(); ++i) number[share.host_tokens[i]] = static_cast<int64_t>(i);
  for (int64_t g = 0; g < grouping.groups(); ++g) {
    const size_t before = rows.size();
    for (int32_t i = begin[g]; i < begin[g + 1]; ++i)
      if (number[tokens[i]] >= 0) rows.push_back(number[tokens[i]]);
    lengths.push_back(static_cast<int64_t>(rows.size() - before));
  }
  return {make_rows(lengths, rows, state_->device), grouping.key};
}

Grouping SequenceExchange::routed_of_share(const Grouping& grouping, const at::Tensor& group, int64_t groups,
                                           const OwnShare& share) const {
  if (share.whole) return grouping;
  at::Tensor numbers = group.index_select(0, share.tokens);
  if (state_->video.defined()) numbers = numbers + state_->video.index_select(0, share.tokens) * groups;
  const int64_t count = numbers.size(0);
  // One sequence whose groups are those of all videos.
  const GroupOrder order = order_by_group({{{count, 1, 1, {}}}}, numbers, grouping.groups());
  Rows query;
  query.index = order.index;
  query.offsets = order.offsets;
  query.sources = order.places;
  query.count = count;
  query.longest = std::min(count, grouping.query.longest);
  return {query, grouping.key};
}

at::Tensor SequenceExchange::attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                    const SpreadGate& gate, const AttendShare& attend_share, bool replayed) const {
  check(q.dim() == 3 && q.size(0) == state_->rows() && q.size(1) == state_->plan.heads() && q.sizes() == k.sizes() &&
            q.sizes() == v.sizes(),
        "exchange: q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes(), "; expected three of [", state_->rows(), ", ",
        state_->plan.heads(), ", D]");
  check(gate.own.defined() == gate.all.defined() &&
            (!gate.own.defined() || (gate.own.sizes() == at::IntArrayRef{state_->rows()} &&
                                     gate.all.sizes() == at::IntArrayRef{state_->plan.tokens()})),
        "exchange: the gate is ", gate.own.sizes(), " of ", gate.all.sizes(), ", expected [", state_->rows(), "] of [",
        state_->plan.tokens(), "]");
  return attend_shares(state_, q, k, v, gate, attend_share, replayed);
}

}  // namespace moga
