// Launches the backward pass: the work list over keys, the pass over queries before, the kernel, the pass after.
#include "moga/kernels/grouped_attention/backward.cuh"

#include "moga/kernels/device/launch.h"
#include "moga/kernels/grouped_attention/backward_queries.cuh"
#include "moga/kernels/grouped_attention/maps.h"

namespace moga::kernels {
namespace {

using Backward64 = BackwardConfig<64, 128>;
using Backward128 = BackwardConfig<128, 80>;

constexpr size_t kAlign = 256;

size_t aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

// The parts of the scratch memory, in order.
struct Scratch {
  size_t dq_sums, statistics, turns, list;
  int32_t tiles;

  template <class C>
  static Scratch of(const GroupedAttentionShape& shape, C) {
    const int32_t tiles = static_cast<int32_t>(shape.queries / C::kTileQ) + shape.groups;
    const size_t rows = static_cast<size_t>(tiles) * C::kTileQ * shape.heads;
    return {aligned(rows * C::kHeadSize * sizeof(float)), aligned(rows * 2 * sizeof(float)),
            aligned(static_cast<size_t>(tiles) * shape.heads * 2 * sizeof(int32_t)),
            aligned(work_list_size(shape.groups) * sizeof(int32_t)), tiles};
  }
  size_t total() const { return dq_sums + statistics + turns + list; }
};

template <class C>
void launch_backward(const GroupedAttentionBackward& call) {
  constexpr int kSlabs = C::kHeadSize / kSlabColumns;
  const GroupedAttentionShape& shape = call.shape;
  const Scratch parts = Scratch::of(shape, C{});
  auto* dq_sums = static_cast<uint8_t*>(call.scratch);
  auto *statistics = dq_sums + parts.dq_sums, *turns = statistics + parts.statistics, *items = turns + parts.turns;
  const typename C::Padded padded{.dq_sums = reinterpret_cast<float*>(dq_sums),
                                  .lse_delta = reinterpret_cast<float*>(statistics),
                                  .turns = call.deterministic ? reinterpret_cast<int32_t*>(turns) : nullptr,
                                  .tiles = parts.tiles,
                                  .heads = shape.heads};
  const WorkList list =
      work_list(shape.k_offsets, shape.q_offsets, shape.groups, shape.heads, reinterpret_cast<int32_t*>(items));
  const QueryPasses<C> pass{padded,   shape.q_offsets, shape.groups, call.output, call.grad,
                            call.lse, call.row_sums,   call.dq,      shape.scale};
  const dim3 tiles(parts.tiles, shape.heads);
  if (shape.queries > 0) {
    prepare_queries<C><<<tiles, kPrepareThreads, 0, shape.stream>>>(pass);
    check_launch("prepare_queries");
  }
  if (shape.keys > 0) {
    list_work(list, C::kTileK, shape.stream);
    const bool queries = shape.queries > 0;  // without queries no tile is loaded, but a map needs an address
    const BackwardMaps maps{head_rows_map(queries ? call.q : call.k, shape.queries, shape, C::kTileQ, kSlabs),
                            head_rows_map(queries ? call.grad : call.k, shape.queries, shape, C::kTileQ, kSlabs),
                            head_rows_map(call.k, shape.keys, shape, C::kTileK, kSlabs),
                            head_rows_map(call.v, shape.keys, shape, C::kTileK, kSlabs),
                            float_rows_map(padded.lse_delta, padded.place(shape.heads, 0), C::kStatistics)};
    const BackwardOutput<C> to{padded, call.dk, call.dv, shape.scale};
    const auto kernel = grouped_attention_backward_sm90<C>;
    launch_persistent(kernel, C::kThreads, sizeof(BackwardShared<C>), shape.stream, maps, list, to);
  }
  if (shape.queries > 0) {
    finish_queries<C><<<tiles, kFinishThreads, 0, shape.stream>>>(pass);
    check_launch("finish_queries");
  }
}

}  // namespace

size_t grouped_attention_backward_scratch(const GroupedAttentionShape& shape) {
  return (shape.head_size == 64 ? Scratch::of(shape, Backward64{}) : Scratch::of(shape, Backward128{})).total();
}

void grouped_attention_backward(const GroupedAttentionBackward& call) {
  call.shape.head_size == 64 ? launch_backward<Backward64>(call) : launch_backward<Backward128>(call);
}

}  // namespace moga::kernels
