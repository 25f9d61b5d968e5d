// Counts, packing and placing. See exchange_rows.h.
#include "moga/attention/exchange_rows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "moga/core/check.h"

namespace moga {
namespace {

at::Tensor numbers(const std::vector<int64_t>& values, int64_t minus, c10::Device device) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::transform(values.begin(), values.end(), tensor.mutable_data_ptr<int64_t>(),
                 [minus](int64_t value) { return value - minus; });
  return tensor.to(device);
}

Piece piece_of(const ExchangeState& state, int64_t round, int64_t rank) {
  Piece piece;
  const std::vector<Share>& shares = state.plan.shares(rank);
  if (round >= static_cast<int64_t>(shares.size())) return piece;
  piece.share = shares[round];
  piece.whole = state.plan.whole(piece.share);
  piece.queries = state.rows();
  if (piece.whole) return piece;
  const int64_t begin = state.plan.slice_begin(state.group.rank());
  const std::vector<int64_t> tokens = state.plan.query_tokens(piece.share, begin, begin + state.rows());
  piece.queries = static_cast<int64_t>(tokens.size());
  piece.local = numbers(tokens, begin, state.device);
  return piece;
}

OwnShare own_share(const ExchangeState& state, const Share& share) {
  OwnShare own;
  own.share = share;
  own.whole = state.plan.whole(share);
  if (own.whole) return own;
  own.host_tokens = state.plan.query_tokens(share, 0, state.plan.tokens());
  own.tokens = numbers(own.host_tokens, 0, state.device);
  return own;
}

// Queries of the share in each slice.
std::vector<int64_t> queries_by_slice(const ExchangeState& state, const OwnShare& own) {
  if (own.whole) return state.plan.slice_rows();
  std::vector<int64_t> counts;
  auto from = own.host_tokens.begin();
  for (int64_t rank = 0; rank < state.plan.ranks(); ++rank) {
    const auto to = std::lower_bound(from, own.host_tokens.end(), state.plan.slice_begin(rank + 1));
    counts.push_back(to - from);
    from = to;
  }
  return counts;
}

at::Tensor videos_of_tokens(const Layout& layout, c10::Device device) {
  if (layout.videos.size() == 1) return {};
  std::vector<int64_t> videos;
  for (size_t video = 0; video < layout.videos.size(); ++video)
    videos.insert(videos.end(), layout.videos[video].tokens(), static_cast<int64_t>(video));
  return numbers(videos, 0, device);
}

int64_t rows_of(const ExchangeState& state, const Piece& piece, Side side) {
  if (piece.share.heads == 0) return 0;
  return side == Side::kKey ? state.rows() : piece.queries;
}

// Elements that this slice gives each rank in a round.
std::vector<int64_t> given(const ExchangeState& state, int64_t round, Side side, int64_t size) {
  std::vector<int64_t> counts;
  for (const Piece& piece : state.pieces[round])
    counts.push_back(rows_of(state, piece, side) * piece.share.heads * size);
  return counts;
}

// Elements that this rank's share has from each slice.
std::vector<int64_t> taken(const ExchangeState& state, int64_t round, Side side, int64_t size) {
  if (!state.has_share(round)) return std::vector<int64_t>(state.plan.ranks(), 0);
  std::vector<int64_t> counts = side == Side::kKey ? state.plan.slice_rows() : state.own_queries[round];
  for (int64_t& count : counts) count *= state.shares[round].share.heads * size;
  return counts;
}

// Calls visit(piece, its elements as [rows, h, D]) for every rank with a share.
template <class Visit>
void for_pieces(const ExchangeState& state, const at::Tensor& flat, int64_t round, Side side, int64_t size,
                const Visit& visit) {
  int64_t begin = 0;
  for (const Piece& piece : state.pieces[round]) {
    const int64_t rows = rows_of(state, piece, side), length = rows * piece.share.heads * size;
    if (rows > 0) visit(piece, flat.narrow(0, begin, length).view({rows, piece.share.heads, size}));
    begin += length;
  }
}

// x [rows, h, D] in units of 16 bytes, or as it is where they do not fit.
at::Tensor in_large_units(const at::Tensor& x) {
  const int64_t unit = 16 / x.element_size();
  const auto fits = [unit](int64_t number) { return number % unit == 0; };
  const bool whole =
      x.stride(2) == 1 && fits(x.size(2)) && fits(x.stride(0)) && fits(x.stride(1)) && fits(x.storage_offset());
  return whole ? x.view(at::kComplexDouble) : x;
}

// ATen copies strided tensors element by element: bfloat16 at a third of the memory's rate of an H200.
void copy_rows(const at::Tensor& to, const at::Tensor& from) {
  const at::Tensor large_to = in_large_units(to), large_from = in_large_units(from);
  const bool both = large_to.scalar_type() == large_from.scalar_type();
  (both ? large_to : to).copy_(both ? large_from : from);
}

}  // namespace

std::shared_ptr<const ExchangeState> make_exchange_state(const ProcessGroup& group, const Layout& layout,
                                                         const ExchangePlan& plan, c10::Device device) {
  check(plan.ranks() == group.size() && plan.tokens() == layout.tokens(), "an exchange of ", plan.tokens(),
        " tokens over ", plan.ranks(), " ranks; the layout has ", layout.tokens(), ", the group ", group.size());
  auto state = std::make_shared<ExchangeState>(ExchangeState{group, layout, plan, device, {}, {}, {}, {}});
  for (int64_t round = 0; round < plan.rounds(); ++round) {
    state->pieces.emplace_back();
    for (int64_t rank = 0; rank < plan.ranks(); ++rank) state->pieces.back().push_back(piece_of(*state, round, rank));
  }
  for (const Share& share : plan.shares(group.rank())) {
    state->shares.push_back(own_share(*state, share));
    state->own_queries.push_back(queries_by_slice(*state, state->shares.back()));
  }
  state->video = videos_of_tokens(layout, device);
  return state;
}

at::Tensor share_rows(const ExchangeState& state, int64_t round, Side side, int64_t size,
                      const at::TensorOptions& options) {
  if (!state.has_share(round)) return at::empty({0, 1, size}, options);
  const OwnShare& own = state.shares[round];
  const bool all = own.whole || side == Side::kKey;
  const int64_t rows = all ? state.plan.tokens() : static_cast<int64_t>(own.host_tokens.size());
  return at::empty({rows, own.share.heads, size}, options);
}

Pending start_to_shares(const ExchangeState& state, const at::Tensor& x, int64_t round, Side side,
                        const at::Tensor& to) {
  const int64_t size = x.size(2);
  const std::vector<int64_t> send = given(state, round, side, size);
  const at::Tensor flat = at::empty({std::accumulate(send.begin(), send.end(), int64_t{0})}, x.options());
  for_pieces(state, flat, round, side, size, [&](const Piece& piece, const at::Tensor& place) {
    const at::Tensor heads = x.narrow(1, piece.share.first_head, piece.share.heads);
    copy_rows(place, side == Side::kKey || piece.whole ? heads : heads.index_select(0, piece.local));
  });
  return state.group.start_all_to_all_into(to.view({-1}), flat, send, taken(state, round, side, size));
}

Pending start_from_shares(const ExchangeState& state, const at::Tensor& y, int64_t round, Side side) {
  const int64_t size = y.size(2);
  return state.group.start_all_to_all(y.contiguous().view({-1}), taken(state, round, side, size),
                                      given(state, round, side, size));
}

at::Tensor place_rows(const ExchangeState& state, const std::vector<at::Tensor>& received, int64_t size, Side side) {
  const at::TensorOptions options = received[0].options();
  const int64_t heads = state.plan.heads(), whole_heads = state.plan.whole_heads();
  const at::Tensor x = at::empty({state.rows(), heads, size}, options);
  const auto wide = c10::promoteTypes(received[0].scalar_type(), at::kFloat);
  at::Tensor sum;  // [n, divided heads, D]
  if (side == Side::kKey && whole_heads < heads)
    sum = at::zeros({state.rows(), heads - whole_heads, size}, options.dtype(wide));
  for (int64_t round = 0; round < state.plan.rounds(); ++round) {
    for_pieces(state, received[round], round, side, size, [&](const Piece& piece, const at::Tensor& rows) {
      const int64_t first = piece.share.first_head, count = piece.share.heads;
      if (piece.whole)
        copy_rows(x.narrow(1, first, count), rows);
      else if (side == Side::kQuery)
        x.narrow(1, first, count).index_copy_(0, piece.local, rows);
      else
        sum.narrow(1, first - whole_heads, count).add_(rows);
    });
  }
  if (sum.defined()) x.narrow(1, whole_heads, heads - whole_heads).copy_(sum);
  return x;
}

}  // namespace moga
