// The two autograd functions of the exchange and the groupings of a share. See exchange.h.
#include "moga/attention/exchange.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <cmath>

#include "moga/attention/exchange_rows.h"
#include "moga/attention/group_order.h"
#include "moga/core/check.h"

namespace moga {
namespace {

using Context = torch::autograd::AutogradContext;
using Tensors = torch::autograd::variable_list;
using State = std::shared_ptr<const ExchangeState>;

struct Kept : torch::CustomClassHolder {
  Kept(State state, const at::Tensor& x, const at::Tensor& gate)
      : state(std::move(state)),
        size(x.size(2)),
        options(x.options()),
        gate(gate.defined() ? std::optional(gate.options()) : std::nullopt) {}
  const State state;
  const int64_t size;  // D
  const at::TensorOptions options;
  const std::optional<at::TensorOptions> gate;
};

void keep(Context* context, const State& state, const at::Tensor& x, const at::Tensor& gate = {}) {
  context->saved_data["kept"] = c10::IValue::make_capsule(c10::make_intrusive<Kept>(state, x, gate));
  context->set_materialize_grads(false);
}

c10::intrusive_ptr<Kept> kept(Context* context) {
  return c10::static_intrusive_pointer_cast<Kept>(context->saved_data["kept"].toCapsule());
}

int64_t queries_of(const ExchangeState& state, const OwnShare& own) {
  return own.whole ? state.plan.tokens() : static_cast<int64_t>(own.host_tokens.size());
}

// The share's rows of x in `round`, or no elements where this rank has none; an undefined gradient is zero.
at::Tensor rows_of_round(const ExchangeState& state, const at::Tensor& x, int64_t round, Side side, const Kept& kept) {
  if (!state.has_share(round)) return at::empty({0, 1, kept.size}, kept.options);
  if (x.defined()) return x;
  const OwnShare& own = state.shares[round];
  const int64_t rows = side == Side::kKey ? state.plan.tokens() : queries_of(state, own);
  return at::zeros({rows, own.share.heads, kept.size}, kept.options);
}

// Starts every round of one tensor, then places what came back.
std::vector<Pending> start_return(const Kept& kept, const Tensors& rounds, Side side) {
  std::vector<Pending> pending;
  for (int64_t round = 0; round < kept.state->plan.rounds(); ++round) {
    const at::Tensor x = kept.state->has_share(round) ? rounds[round] : at::Tensor();
    pending.push_back(start_from_shares(*kept.state, rows_of_round(*kept.state, x, round, side, kept), round, side));
  }
  return pending;
}

at::Tensor finish_return(const Kept& kept, std::vector<Pending>& pending, Side side) {
  std::vector<at::Tensor> received;
  for (Pending& round : pending) received.push_back(round.wait());
  return place_rows(*kept.state, received, kept.size, side);
}

// [rows, h, D] of this rank's share in every round; those without a share are dropped.
std::vector<at::Tensor> finish_shares(const ExchangeState& state, std::vector<Pending>& pending, int64_t size) {
  std::vector<at::Tensor> shares;
  for (int64_t round = 0; round < state.plan.rounds(); ++round) {
    const at::Tensor flat = pending[round].wait();
    if (state.has_share(round)) shares.push_back(flat.view({-1, state.shares[round].share.heads, size}));
  }
  return shares;
}

std::vector<Pending> start_shares(const ExchangeState& state, const at::Tensor& x, Side side) {
  std::vector<Pending> pending;
  for (int64_t round = 0; round < state.plan.rounds(); ++round)
    pending.push_back(start_to_shares(state, x, round, side));
  return pending;
}

at::Tensor of_all_tokens(const ExchangeState& state, const at::Tensor& x) {
  return state.group.all_gather(x.contiguous(), state.plan.slice_rows());
}

// q, k, v [n, H, D], gate [n] → for each share q, k, v and, with a gate, its gate.
class ToShares : public torch::autograd::Function<ToShares> {
 public:
  static Tensors forward(Context* context, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const std::optional<at::Tensor>& gate, const State& state) {
    keep(context, state, q, gate.value_or(at::Tensor()));
    std::vector<Pending> q_pending = start_shares(*state, q, Side::kQuery),
                         k_pending = start_shares(*state, k, Side::kKey),
                         v_pending = start_shares(*state, v, Side::kKey);
    const at::Tensor all_gates = gate ? of_all_tokens(*state, *gate) : at::Tensor();
    const std::vector<at::Tensor> qs = finish_shares(*state, q_pending, q.size(2)),
                                  ks = finish_shares(*state, k_pending, q.size(2)),
                                  vs = finish_shares(*state, v_pending, q.size(2));
    Tensors results;
    for (size_t i = 0; i < qs.size(); ++i) {
      results.insert(results.end(), {qs[i], ks[i], vs[i]});
      if (!gate) continue;
      const OwnShare& own = state->shares[i];
      results.push_back(own.whole ? all_gates : all_gates.index_select(0, own.tokens));
    }
    return results;
  }

  static Tensors backward(Context* context, const Tensors& grads) {
    const auto held = kept(context);
    const ExchangeState& state = *held->state;
    const size_t stride = held->gate ? 4 : 3;
    const auto of = [&](size_t which) {
      Tensors rounds;
      for (size_t i = 0; i < state.shares.size(); ++i) rounds.push_back(grads[i * stride + which]);
      return rounds;
    };
    std::vector<Pending> dq = start_return(*held, of(0), Side::kQuery), dk = start_return(*held, of(1), Side::kKey),
                         dv = start_return(*held, of(2), Side::kKey);
    const at::Tensor dgate = held->gate ? gate_gradient(state, *held->gate, of(3)) : at::Tensor();
    return {finish_return(*held, dq, Side::kQuery),
            finish_return(*held, dk, Side::kKey),
            finish_return(*held, dv, Side::kKey),
            dgate,
            {}};
  }

 private:
  // The gradients of this slice's gates, summed over the shares of all ranks.
  static at::Tensor gate_gradient(const ExchangeState& state, const at::TensorOptions& gate, const Tensors& grads) {
    const at::Tensor all = at::zeros({state.plan.tokens()}, gate);
    for (size_t i = 0; i < grads.size(); ++i) {
      if (!grads[i].defined()) continue;
      if (state.shares[i].whole)
        all.add_(grads[i]);
      else
        all.index_add_(0, state.shares[i].tokens, grads[i]);
    }
    state.group.all_reduce(all);
    return all.narrow(0, state.plan.slice_begin(state.group.rank()), state.rows());
  }
};

// The output [rows, h, D] of each share → [n, H, D].
class FromShares : public torch::autograd::Function<FromShares> {
 public:
  static at::Tensor forward(Context* context, at::TensorList shares, const State& state) {
    keep(context, state, shares[0]);
    const auto held = kept(context);
    std::vector<Pending> pending = start_return(*held, shares.vec(), Side::kQuery);
    return finish_return(*held, pending, Side::kQuery);
  }

  static Tensors backward(Context* context, const Tensors& grads) {
    const auto held = kept(context);
    const ExchangeState& state = *held->state;
    const at::Tensor grad =
        grads[0].defined() ? grads[0] : at::zeros({state.rows(), state.plan.heads(), held->size}, held->options);
    std::vector<Pending> pending = start_shares(state, grad, Side::kQuery);
    Tensors results = finish_shares(state, pending, held->size);
    results.emplace_back();
    return results;
  }
};

}  // namespace

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

at::Tensor SequenceExchange::gather(const at::Tensor& x) const { return of_all_tokens(*state_, x.detach()); }

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
                                    const at::Tensor& gate, const AttendShare& attend) const {
  check(q.dim() == 3 && q.size(0) == state_->rows() && q.size(1) == state_->plan.heads() && q.sizes() == k.sizes() &&
            q.sizes() == v.sizes(),
        "exchange: q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes(), "; expected three of [", state_->rows(), ", ",
        state_->plan.heads(), ", D]");
  check(!gate.defined() || gate.sizes() == at::IntArrayRef{state_->rows()}, "exchange: the gate is ", gate.sizes(),
        ", expected [", state_->rows(), "]");
  const Tensors inputs = ToShares::apply(q, k, v, gate.defined() ? std::optional(gate) : std::nullopt, state_);
  const size_t stride = gate.defined() ? 4 : 3;
  Tensors outputs;
  for (size_t i = 0; i < state_->shares.size(); ++i) {
    const at::Tensor* of = &inputs[i * stride];
    outputs.push_back(attend(state_->shares[i], {of[0], of[1], of[2], gate.defined() ? of[3] : at::Tensor()}));
  }
  return FromShares::apply(at::TensorList(outputs), state_);
}

}  // namespace moga
