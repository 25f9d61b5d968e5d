// Collectives over c10d's backends: checks of shapes, the trivial group of one rank, the choice of the backend by the
// tensor's device, and one-line errors. On the CPU rows move as bytes, because Gloo does not know every dtype.
#include "moga/parallel/process_group.h"

#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <algorithm>
#include <numeric>
#include <utility>

#include "moga/core/log.h"
#include "moga/parallel/group_state.h"
#include "moga/parallel/wait_time.h"

namespace moga {

struct ProcessGroup::State {
  int64_t rank = 0, size = 1;
  std::string name = "world";
  std::string master_address;
  std::chrono::milliseconds timeout{0};
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> cpu, cuda;  // cuda: null without a GPU
  bool rehearsed = false;                       // the other ranks do not exist

  // NCCL's backend does the same when it is destroyed, but warns first.
  ~State() {
    try {
      if (cuda) cuda->shutdown();
    } catch (const std::exception& error) {
      log_info(name, ": ", error.what());
    }
  }

  bool alone() const { return size == 1 || rehearsed; }
  BackendRequest request() const { return {store.get(), rank, size, timeout, name, master_address}; }
};

namespace {

using Work = c10::intrusive_ptr<c10d::Work>;

// Without the place in Gloo's sources that its messages begin with: "[…/pair.cc:538] Connection closed by peer".
std::string first_line(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  const std::string text = torch_error ? torch_error->what_without_backtrace() : error.what();
  const std::string line = text.substr(0, text.find('\n'));
  const size_t place = line.starts_with("[/") ? line.find("] ") : std::string::npos;
  return place == std::string::npos ? line : line.substr(place + 2);
}

std::string place(const ProcessGroup::State& state, const char* what) {
  std::string text = "rank " + std::to_string(state.rank) + " of " + std::to_string(state.size);
  if (state.name != "world") text += " in the group " + state.name;
  return text + ": " + what + ": ";
}

template <class Start>
Work start(const ProcessGroup::State& state, const char* what, const Start& begin) {
  try {
    return begin();
  } catch (const c10::DistError& error) {
    throw PeerFailure(place(state, what) + first_line(error));
  } catch (const std::exception& error) {
    fail(place(state, what), first_line(error));
  }
}

// `held`: tensors that the collective reads or writes.
Pending pending(std::shared_ptr<ProcessGroup::State> state, const char* what, Work work, at::Tensor result,
                std::vector<at::Tensor> held) {
  return Pending(std::move(result), [state = std::move(state), what, work = std::move(work), held = std::move(held)] {
    const WaitTime::Wait waiting(held.empty() ? c10::Device(c10::kCPU) : held.front().device());
    try {
      work->wait();
    } catch (const std::exception& error) {
      throw PeerFailure(place(*state, what) + first_line(error));
    }
  });
}

c10d::Backend& backend_of(const ProcessGroup::State& state, const at::Tensor& x) {
  check(x.is_cpu() || (x.is_cuda() && state.cuda), "collectives: a tensor on ", x.device(), ", expected one on ",
        state.cuda ? "the CPU or a GPU" : "the CPU");
  return x.is_cpu() ? *state.cpu : *state.cuda;
}

void check_contiguous(const at::Tensor& x, const char* what) {
  check(x.defined() && x.is_contiguous(), what, ": the tensor is not contiguous");
}

// The elements in a row; on the CPU as bytes.
at::Tensor flat(const at::Tensor& x) {
  const at::Tensor elements = x.detach().view({-1});
  return x.is_cpu() ? elements.view(at::kByte) : elements;
}

std::vector<int64_t> with_rows(const at::Tensor& x, int64_t rows) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape.at(0) = rows;
  return shape;
}

// Elements of flat(x) in one row of x.
int64_t row_length(const at::Tensor& x) {
  const auto tail = x.sizes().slice(1);
  const int64_t elements = std::accumulate(tail.begin(), tail.end(), int64_t{1}, std::multiplies<>());
  return x.is_cpu() ? elements * static_cast<int64_t>(x.itemsize()) : elements;
}

c10d::ReduceOp::RedOpType operation(Reduce reduce) {
  if (reduce == Reduce::kSum) return c10d::ReduceOp::SUM;
  return reduce == Reduce::kMax ? c10d::ReduceOp::MAX : c10d::ReduceOp::MIN;
}

}  // namespace

at::Tensor Pending::wait() {
  if (wait_) std::exchange(wait_, nullptr)();
  return result_;
}

ProcessGroup::ProcessGroup() : state_(std::make_shared<State>()) {}
ProcessGroup::ProcessGroup(std::shared_ptr<State> state) : state_(std::move(state)) {}

ProcessGroup ProcessGroup::rehearsed(int64_t size) {
  check(size > 0, "a rehearsed group of ", size, " ranks");
  const auto state = std::make_shared<State>();
  state->size = size;
  state->rehearsed = size > 1;
  return ProcessGroup(state);
}

int64_t ProcessGroup::rank() const { return state_->rank; }
int64_t ProcessGroup::size() const { return state_->size; }

Pending ProcessGroup::start_all_reduce(const at::Tensor& x, Reduce reduce) const {
  check_contiguous(x, "all_reduce");
  if (state_->alone()) return Pending(x);
  std::vector<at::Tensor> tensors{x.detach()};
  c10d::AllreduceOptions options;
  options.reduceOp = operation(reduce);
  Work work = start(*state_, "all_reduce", [&] { return backend_of(*state_, x).allreduce(tensors, options); });
  return pending(state_, "all_reduce", std::move(work), x, tensors);
}

Pending ProcessGroup::start_all_gather(const at::Tensor& x) const {
  check_contiguous(x, "all_gather");
  check(x.dim() > 0, "all_gather: a scalar; expected [rows, …]");
  if (size() == 1) return Pending(x.clone());
  return start_all_gather_into(at::empty(with_rows(x, x.size(0) * size()), x.options()), x);
}

Pending ProcessGroup::start_all_gather_into(const at::Tensor& to, const at::Tensor& x) const {
  check_contiguous(x, "all_gather");
  check_contiguous(to, "all_gather");
  check(x.dim() > 0 && to.sizes() == at::IntArrayRef(with_rows(x, x.size(0) * size())) &&
            to.scalar_type() == x.scalar_type() && to.device() == x.device(),
        "all_gather: ", x.scalar_type(), " ", x.sizes(), " of each of ", size(), " ranks into ", to.scalar_type(), " ",
        to.sizes());
  if (state_->alone()) {
    const at::NoGradGuard no_grad;
    if (!x.is_alias_of(to)) to.detach().unflatten(0, {size(), x.size(0)}).copy_(x.detach());
    return Pending(to);
  }
  at::Tensor from = flat(x), all = flat(to);
  if (x.is_cpu() && x.is_alias_of(to)) from = from.clone();  // NCCL gathers in place, Gloo does not promise to
  Work work = start(*state_, "all_gather", [&] { return backend_of(*state_, x)._allgather_base(all, from); });
  return pending(state_, "all_gather", std::move(work), to, {from, all});
}

Pending ProcessGroup::start_reduce_scatter(const at::Tensor& x) const {
  check_contiguous(x, "reduce_scatter");
  check(x.dim() > 0 && x.size(0) % size() == 0, "reduce_scatter: a tensor ", x.sizes(), " over ", size(),
        " ranks; its rows must be a multiple of the ranks");
  if (state_->alone()) return Pending(x.detach().narrow(0, 0, x.size(0) / size()).clone());
  const at::Tensor result = at::empty(with_rows(x, x.size(0) / size()), x.options());
  at::Tensor from = x.detach().view({-1}), to = result.view({-1});
  Work work = start(*state_, "reduce_scatter", [&] { return backend_of(*state_, x)._reduce_scatter_base(to, from); });
  return pending(state_, "reduce_scatter", std::move(work), result, {from, to});
}

Pending ProcessGroup::start_all_to_all(const at::Tensor& x, const std::vector<int64_t>& send_rows,
                                       const std::vector<int64_t>& receive_rows) const {
  check(x.defined() && x.dim() > 0, "all_to_all: a scalar; expected [rows, …]");
  const int64_t received = std::accumulate(receive_rows.begin(), receive_rows.end(), int64_t{0});
  return start_all_to_all_into(at::empty(with_rows(x, received), x.options()), x, send_rows, receive_rows);
}

Pending ProcessGroup::start_all_to_all_into(const at::Tensor& to, const at::Tensor& x,
                                            const std::vector<int64_t>& send_rows,
                                            const std::vector<int64_t>& receive_rows) const {
  check_contiguous(x, "all_to_all");
  check_contiguous(to, "all_to_all");
  const auto ranks = static_cast<size_t>(size());
  check(send_rows.size() == ranks && receive_rows.size() == ranks, "all_to_all: ", send_rows.size(), " and ",
        receive_rows.size(), " counts for ", size(), " ranks");
  const int64_t sent = std::accumulate(send_rows.begin(), send_rows.end(), int64_t{0}),
                received = std::accumulate(receive_rows.begin(), receive_rows.end(), int64_t{0});
  check(x.dim() > 0 && x.size(0) == sent, "all_to_all: a tensor ", x.sizes(), ", expected ", sent, " rows");
  check(to.sizes() == at::IntArrayRef(with_rows(x, received)) && to.scalar_type() == x.scalar_type() &&
            to.device() == x.device(),
        "all_to_all: ", x.scalar_type(), " ", x.sizes(), " into ", to.scalar_type(), " ", to.sizes(), ", expected ",
        received, " rows");
  if (size() == 1) {
    const at::NoGradGuard no_grad;
    to.detach().copy_(x.detach());
    return Pending(to);
  }
  at::Tensor from = flat(x), into = flat(to);
  std::vector<int64_t> send = send_rows, receive = receive_rows;
  for (int64_t& rows : send) rows *= row_length(x);
  for (int64_t& rows : receive) rows *= row_length(x);
  Work work =
      start(*state_, "all_to_all", [&] { return backend_of(*state_, x).alltoall_base(into, from, receive, send); });
  return pending(state_, "all_to_all", std::move(work), to, {from, into});
}

Pending ProcessGroup::start_broadcast(const at::Tensor& x, int64_t root) const {
  check_contiguous(x, "broadcast");
  check(root >= 0 && root < size(), "broadcast: from rank ", root, " of ", size());
  if (state_->alone()) return Pending(x);
  std::vector<at::Tensor> tensors{flat(x)};
  c10d::BroadcastOptions options;
  options.rootRank = root;
  Work work = start(*state_, "broadcast", [&] { return backend_of(*state_, x).broadcast(tensors, options); });
  return pending(state_, "broadcast", std::move(work), x, tensors);
}

at::Tensor ProcessGroup::all_gather(const at::Tensor& x, const std::vector<int64_t>& counts) const {
  check(static_cast<int64_t>(counts.size()) == size() && x.dim() > 0 && x.size(0) == counts[rank()],
        "all_gather: a tensor ", x.sizes(), " and ", counts.size(), " counts on rank ", rank(), " of ", size());
  const int64_t longest = *std::max_element(counts.begin(), counts.end());
  if (std::ranges::count(counts, longest) == size()) return all_gather(x);
  at::Tensor padded = at::zeros(with_rows(x, longest), x.options());
  padded.narrow(0, 0, x.size(0)).copy_(x.detach());
  const at::Tensor all = all_gather(padded);
  std::vector<at::Tensor> parts;
  for (int64_t from = 0; from < size(); ++from) parts.push_back(all.narrow(0, from * longest, counts[from]));
  return at::cat(parts);
}

void ProcessGroup::barrier() const {
  if (state_->alone()) return;
  pending(state_, "barrier", start(*state_, "barrier", [&] { return state_->cpu->barrier(); }), {}, {}).wait();
}

std::vector<std::string> ProcessGroup::all_gather_text(const std::string& text) const {
  const at::Tensor lengths = all_gather(at::full({1}, static_cast<int64_t>(text.size()), at::kLong));
  const std::vector<int64_t> counts(lengths.const_data_ptr<int64_t>(), lengths.const_data_ptr<int64_t>() + size());
  at::Tensor bytes = at::empty({static_cast<int64_t>(text.size())}, at::kByte);
  std::copy(text.begin(), text.end(), bytes.mutable_data_ptr<uint8_t>());
  const at::Tensor all = all_gather(bytes, counts);
  const uint8_t* next = all.const_data_ptr<uint8_t>();
  std::vector<std::string> texts;
  for (const int64_t count : counts) {
    texts.emplace_back(next, next + count);
    next += count;
  }
  return texts;
}

bool ProcessGroup::any(bool holds) const {
  const at::Tensor flag = at::full({1}, static_cast<int64_t>(holds), at::kLong);
  all_reduce(flag, Reduce::kMax);
  return flag.item<int64_t>() != 0;
}

ProcessGroup ProcessGroup::subgroup(const std::string& name, const std::vector<int64_t>& ranks) const {
  const auto own = std::ranges::find(ranks, rank());
  check(own != ranks.end(), "the group ", name, " is made by rank ", rank(), ", which is not in it");
  if (ranks.size() == 1) return ProcessGroup();
  GroupRequest request;
  request.store = c10::intrusive_ptr<c10d::Store>(state_->store).release();
  request.rank = own - ranks.begin();
  request.size = static_cast<int64_t>(ranks.size());
  request.name = name;
  request.master_address = state_->master_address;
  request.timeout = state_->timeout;
  request.cuda = state_->cuda != nullptr;
  return make_group(request);
}

ProcessGroup make_group(const GroupRequest& request) {
  const auto state = std::make_shared<ProcessGroup::State>();
  state->store = c10::intrusive_ptr<c10d::Store>::reclaim(request.store);
  state->rank = request.rank;
  state->size = request.size;
  state->name = request.name;
  state->master_address = request.master_address;
  state->timeout = request.timeout;
  try {
    state->cpu = c10::intrusive_ptr<c10d::Backend>::reclaim(make_gloo(state->request()));
    if (request.cuda) state->cuda = c10::intrusive_ptr<c10d::Backend>::reclaim(make_nccl(state->request()));
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw PeerFailure(place(*state, "connect") + first_line(error));
  }
  return ProcessGroup(state);
}

void leave_store(const ProcessGroup& group, bool last, std::chrono::milliseconds patience) {
  const ProcessGroup::State& state = *group.state();
  try {
    if (state.store->add("left", 1) == state.size) state.store->set("all left", "yes");
    if (last) state.store->wait({"all left"}, patience);
  } catch (const std::exception& error) {
    if (last) log_info("not every rank said within ", patience.count() / 1000, " s that it leaves");
  }
}

}  // namespace moga
