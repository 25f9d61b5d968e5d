// See exchange_trip.h. Each share's attention has an autograd graph of its own, which the backward pass differentiates
// between the exchanges.
#include "moga/attention/exchange_trip.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "moga/core/graph_root.h"

namespace moga {
namespace {

using Context = torch::autograd::AutogradContext;
using Tensors = torch::autograd::variable_list;
using State = std::shared_ptr<const ExchangeState>;

constexpr size_t kArguments = 7;  // of the autograd function

// One round on this rank. Without a share the tensors have no rows.
struct Round {
  ShareInputs inputs;             // leaves of the share's graph
  GraphRoot output;               // not valid without gradients
  std::vector<Pending> arriving;  // q, k, v, until they are waited for

  void arrive() {
    for (Pending& input : arriving) input.wait();
    arriving.clear();
  }
};

struct Trip : torch::CustomClassHolder {
  Trip(State state, const at::Tensor& q, const SpreadGate& gate, bool trained)
      : state(std::move(state)), size(q.size(2)), options(q.options()), gates(gate.all), trained(trained) {}
  const State state;
  const int64_t size;  // D
  const at::TensorOptions options;
  const at::Tensor gates;  // [N]; undefined: no gate
  const bool trained;
  std::vector<Round> rounds;
};

at::Tensor leaf(const at::Tensor& x, bool gradient) { return x.detach().set_requires_grad(gradient); }

Round empty_round(const Trip& trip, int64_t number, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto rows = [&](const at::Tensor& x, Side side) {
    return leaf(share_rows(*trip.state, number, side, trip.size, trip.options), trip.trained && x.requires_grad());
  };
  return {{rows(q, Side::kQuery), rows(k, Side::kKey), rows(v, Side::kKey), {}}, {}, {}};
}

void send(Trip& trip, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  for (int64_t r = 0; r < trip.state->plan.rounds(); ++r) {
    Round& round = trip.rounds[r];
    round.arriving.push_back(start_to_shares(*trip.state, q, r, Side::kQuery, round.inputs.q));
    round.arriving.push_back(start_to_shares(*trip.state, k, r, Side::kKey, round.inputs.k));
    round.arriving.push_back(start_to_shares(*trip.state, v, r, Side::kKey, round.inputs.v));
  }
}

// The share's output, whose graph the round keeps; no rows without a share.
at::Tensor output_of(Trip& trip, int64_t number, const SequenceExchange::AttendShare& attend_share) {
  Round& round = trip.rounds[number];
  if (!trip.state->has_share(number)) return round.inputs.q.detach();
  const at::AutoGradMode as_outside(trip.trained);
  const at::Tensor output = attend_share(trip.state->shares[number], round.inputs);
  if (output.requires_grad()) round.output = graph_root(output);
  return output.detach();
}

at::Tensor placed(const Trip& trip, std::vector<Pending>& returning, Side side) {
  std::vector<at::Tensor> rounds;
  for (Pending& round : returning) rounds.push_back(round.wait());
  return place_rows(*trip.state, rounds, trip.size, side);
}

// The gradients that reach q, k, v and the gate of a share; undefined where none does.
std::array<at::Tensor, 4> gradients_of(const Round& round, const at::Tensor& grad, bool keep_graph) {
  std::array<at::Tensor, 4> tensors{round.inputs.q, round.inputs.k, round.inputs.v, round.inputs.gate};
  const auto wanted = [](const at::Tensor& x) { return x.defined() && x.requires_grad(); };
  Tensors targets;
  std::ranges::copy_if(tensors, std::back_inserter(targets), wanted);
  const Tensors found = gradients({round.output}, {grad}, targets, keep_graph);
  size_t next = 0;
  for (at::Tensor& tensor : tensors) tensor = wanted(tensor) ? found[next++] : at::Tensor();
  return tensors;
}

class RoundTrip : public torch::autograd::Function<RoundTrip> {
 public:
  static at::Tensor forward(Context* context, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const std::optional<at::Tensor>& gate, const c10::intrusive_ptr<Trip>& trip,
                            const SequenceExchange::AttendShare& attend_share, bool replayed) {
    const ExchangeState& state = *trip->state;
    for (int64_t r = 0; r < state.plan.rounds(); ++r) trip->rounds.push_back(empty_round(*trip, r, q, k, v));
    if (!replayed) send(*trip, q, k, v);
    std::vector<Pending> returning;
    for (int64_t r = 0; r < state.plan.rounds(); ++r) {
      Round& round = trip->rounds[r];
      round.arrive();
      if (gate && state.has_share(r)) {
        const OwnShare& own = state.shares[r];
        round.inputs.gate = leaf(own.whole ? trip->gates : trip->gates.index_select(0, own.tokens),
                                 trip->trained && gate->requires_grad());
      }
      returning.push_back(start_from_shares(state, output_of(*trip, r, attend_share), r, Side::kQuery));
      if (!trip->trained) round = {};
    }
    if (replayed) send(*trip, q, k, v);
    context->saved_data["trip"] = c10::IValue::make_capsule(trip);
    context->set_materialize_grads(false);
    return placed(*trip, returning, Side::kQuery);
  }

  static Tensors backward(Context* context, const Tensors& grads) {
    const auto trip = c10::static_intrusive_pointer_cast<Trip>(context->saved_data["trip"].toCapsule());
    const ExchangeState& state = *trip->state;
    const int64_t last = state.plan.rounds() - 1;
    const bool keep_graph = torch::autograd::get_current_graph_task_keep_graph();
    const at::Tensor grad =
        grads[0].defined() ? grads[0] : at::zeros({state.rows(), state.plan.heads(), trip->size}, trip->options);
    const at::Tensor dgate = trip->gates.defined() ? at::zeros_like(trip->gates) : at::Tensor();
    std::vector<at::Tensor> dout;
    std::vector<Pending> arriving;
    for (int64_t r = last; r >= 0; --r) {
      dout.push_back(share_rows(state, r, Side::kQuery, trip->size, trip->options));
      arriving.push_back(start_to_shares(state, grad, r, Side::kQuery, dout.back()));
    }
    std::array<std::vector<Pending>, 3> returning;  // of q, k, v; the last round first, as above
    for (int64_t r = last; r >= 0; --r) {
      Round& round = trip->rounds[r];
      round.arrive();
      arriving[last - r].wait();
      std::array<at::Tensor, 4> d;
      if (round.output.is_valid()) d = gradients_of(round, std::exchange(dout[last - r], {}), keep_graph);
      for (size_t i = 0; i < returning.size(); ++i) {
        const Side side = i == 0 ? Side::kQuery : Side::kKey;
        const at::Tensor rows = d[i].defined() ? d[i] : share_rows(state, r, side, trip->size, trip->options).zero_();
        returning[i].push_back(start_from_shares(state, rows, r, side));
      }
      if (d[3].defined()) add_gate_gradient(dgate, d[3], state.shares[r]);
      if (!keep_graph) round = {};
    }
    Tensors results = {of_slice(*trip, returning[0], Side::kQuery), of_slice(*trip, returning[1], Side::kKey),
                       of_slice(*trip, returning[2], Side::kKey)};
    results.resize(kArguments);
    if (!dgate.defined()) return results;
    state.group.all_reduce(dgate);
    results[3] = dgate.narrow(0, state.plan.slice_begin(state.group.rank()), state.rows());
    return results;
  }

 private:
  static at::Tensor of_slice(const Trip& trip, std::vector<Pending>& returning, Side side) {
    std::ranges::reverse(returning);
    return placed(trip, returning, side);
  }

  static void add_gate_gradient(const at::Tensor& sum, const at::Tensor& grad, const OwnShare& own) {
    if (own.whole)
      sum.add_(grad);
    else
      sum.index_add_(0, own.tokens, grad);
  }
};

}  // namespace

at::Tensor attend_shares(const std::shared_ptr<const ExchangeState>& state, const at::Tensor& q, const at::Tensor& k,
                         const at::Tensor& v, const SpreadGate& gate, const SequenceExchange::AttendShare& attend_share,
                         bool replayed) {
  const auto wanted = [](const at::Tensor& x) { return x.defined() && x.requires_grad(); };
  const bool trained = at::GradMode::is_enabled() && (wanted(q) || wanted(k) || wanted(v) || wanted(gate.own));
  return RoundTrip::apply(q, k, v, gate.own.defined() ? std::optional(gate.own) : std::nullopt,
                          c10::make_intrusive<Trip>(state, q, gate, trained), attend_share, replayed);
}

}  // namespace moga
