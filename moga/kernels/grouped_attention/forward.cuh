// The forward kernel. A persistent CTA takes a tile of query rows, iterates over the keys of its group from the last
// tile to the first, and writes output and lse once.
//
//   producer warpgroup   warp 0 copies Q, K and V tiles to shared memory, warp 1 takes work items one ahead
//   consumer warpgroups  64 query rows each. While a consumer turns the scores of tile n into weights, the product of
//                        tile n + 1's weights with V and the other consumers' products run.
//
// Consumers take turns issuing products (named barriers), so that the softmax of one overlaps the products of the
// others. Where a tile extends into the next group, key rows are masked and query rows are not stored.
#pragma once

#include "moga/kernels/device/barrier.cuh"
#include "moga/kernels/device/tma.cuh"
#include "moga/kernels/device/warp.cuh"
#include "moga/kernels/device/wgmma.cuh"
#include "moga/kernels/grouped_attention/accumulators.cuh"
#include "moga/kernels/grouped_attention/item_slots.cuh"
#include "moga/kernels/grouped_attention/softmax.cuh"

namespace moga::kernels {

template <int kHeadSize_, int kTileN_, int kStages_>
struct ForwardConfig {
  static constexpr int kHeadSize = kHeadSize_;
  static constexpr int kConsumers = 3;
  static constexpr int kTileM = 64 * kConsumers;  // query rows per CTA
  static constexpr int kTileN = kTileN_;          // keys per tile
  static constexpr int kStages = kStages_;        // tiles of K, and of V, in shared memory
  static constexpr int kThreads = kWarpgroup * (kConsumers + 1);
  static constexpr int kConsumerWarps = 4 * kConsumers;
  static constexpr int kProducerRegisters = 32;
  static constexpr int kConsumerRegisters = 160;
  // A consumer whose rows are all beyond the group skips its products, which saves 5 % of the time at 740 rows per
  // group. Not measured for D = 128.
  static constexpr bool kStandsBy = kHeadSize == 64;
  static constexpr int kTileBytesQ = kTileM * kHeadSize * 2;
  static constexpr int kTileBytesKV = kTileN * kHeadSize * 2;
};

// The last tile of the item's keys; tiles are processed in descending order.
template <class C>
__device__ __forceinline__ int last_tile(const WorkItem& item) {
  return (item.other_rows - 1) / C::kTileN;
}

template <class C>
struct alignas(1024) ForwardShared {
  uint8_t q[C::kTileBytesQ];  // [D / 64][kTileM][64] bf16, swizzled
  uint8_t k[C::kStages][C::kTileBytesKV];
  uint8_t v[C::kStages][C::kTileBytesKV];
  Barrier q_full, q_empty;
  Barrier k_full[C::kStages], k_empty[C::kStages], v_full[C::kStages], v_empty[C::kStages];
  ItemSlots<AlignedWorkItem> items;
};

struct ForwardMaps {
  CUtensorMap q, k, v;
};

struct ForwardOutput {
  Bfloat16* output;  // [nq, H, D]
  float* lse;        // [nq, H]
  int heads;
  float scale;
};

template <class C>
__device__ __forceinline__ void init_barriers(ForwardShared<C>& shared) {
  barrier_init(&shared.q_full, 1);
  barrier_init(&shared.q_empty, C::kConsumerWarps);
  for (int s = 0; s < C::kStages; ++s) {
    barrier_init(&shared.k_full[s], 1);
    barrier_init(&shared.v_full[s], 1);
    barrier_init(&shared.k_empty[s], C::kConsumerWarps);
    barrier_init(&shared.v_empty[s], C::kConsumerWarps);
  }
  shared.items.init(C::kConsumerWarps * kWarp + 1);
  barrier_init_fence();
}

// Called by one thread.
template <class C>
__device__ __forceinline__ void load_tiles(ForwardShared<C>& shared, const ForwardMaps& maps) {
  ItemReader items;
  Ring<C::kStages> k_ring, v_ring;
  uint32_t q_parity = 0;
  while (true) {
    const auto item = items.next(shared.items);
    if (item.head == kNoHead) return;
    if (item.other_rows == 0) continue;
    const auto load_k = [&](int tile) {
      barrier_wait(&shared.k_empty[k_ring.stage], k_ring.parity ^ 1, 3);
      barrier_arrive_expect(&shared.k_full[k_ring.stage], C::kTileBytesKV);
      load_box(shared.k[k_ring.stage], maps.k, &shared.k_full[k_ring.stage], 0, item.other_row + tile * C::kTileN, 0,
               item.head);
      k_ring.advance();
    };
    const auto load_v = [&](int tile) {
      barrier_wait(&shared.v_empty[v_ring.stage], v_ring.parity ^ 1, 4);
      barrier_arrive_expect(&shared.v_full[v_ring.stage], C::kTileBytesKV);
      load_box(shared.v[v_ring.stage], maps.v, &shared.v_full[v_ring.stage], 0, item.other_row + tile * C::kTileN, 0,
               item.head);
      v_ring.advance();
    };
    const int last = last_tile<C>(item);
    load_k(last);
    barrier_wait(&shared.q_empty, q_parity ^ 1, 5);
    barrier_arrive_expect(&shared.q_full, C::kTileBytesQ);
    load_box(shared.q, maps.q, &shared.q_full, 0, item.row, 0, item.head);
    q_parity ^= 1;
    for (int tile = last - 1; tile >= 0; --tile) {
      load_k(tile);
      load_v(tile + 1);
    }
    load_v(0);
  }
}

// One consumer warpgroup: 64 query rows of each item.
template <class C>
class ForwardConsumer {
 public:
  __device__ __forceinline__ ForwardConsumer(ForwardShared<C>& shared, const ForwardOutput& to)
      : shared_(shared), to_(to), consumer_(uniform(threadIdx.x / kWarpgroup - 1)) {}

  __device__ __forceinline__ void run() {
    if (consumer_ == C::kConsumers - 1) end_turn();  // the first turn is consumer 0's
    while (true) {
      const auto item = items_.next_of_warp(shared_.items);
      if (item.head == kNoHead) return;
      if (C::kStandsBy && item.rows <= consumer_ * 64) {
        if (item.other_rows > 0) stand_by(last_tile<C>(item));
        continue;
      }
      Output output = {};
      RowSoftmax softmax;
      if (item.other_rows > 0) attend(item, output, softmax);
      store(item, output, softmax);
    }
  }

 private:
  using Scores = float[C::kTileN / 2];
  using Weights = uint32_t[C::kTileN / 4];
  using Output = float[C::kHeadSize / 2];

  // Passes the barriers of last + 1 tiles together with the others, without products of its own.
  __device__ __forceinline__ void stand_by(int last) {
    wait_q();
    wait_k();
    release_k();
#pragma unroll 1
    for (int tile = last - 1; tile >= 0; --tile) {
      wait_k();
      begin_turn();
      end_turn();
      release_k();
      wait_v();
      release_v();
    }
    release_q();
    wait_v();
    release_v();
  }

  __device__ __forceinline__ void attend(const WorkItem& item, Output& output, RowSoftmax& softmax) {
    Scores scores;
    Weights weights;
    wait_q();
    wait_k();
    issue_scores(scores);
    product_wait<0>();
    pin(scores);
    release_k();
    mask_columns(scores, item.other_rows - last_tile<C>(item) * C::kTileN, -INFINITY);
    softmax.begin(scores, to_.scale * kLog2E);
    pack(scores, weights);
    attend_tiles_below(last_tile<C>(item), scores, weights, output, softmax);
    release_q();
    wait_v();
    issue_output(output, weights);
    product_wait<0>();
    pin(output);
    release_v();
  }

  // Tiles last - 1 … 0. On entry the weights of tile `last` are not yet multiplied by V; on return those of tile 0 are
  // not.
  __device__ __forceinline__ void attend_tiles_below(int last, Scores& scores, Weights& weights, Output& output,
                                                     RowSoftmax& softmax) {
    float rescale[2];
    const float c = to_.scale * kLog2E;
#pragma unroll 1
    for (int tile = last - 1; tile >= 0; --tile) {
      wait_k();
      begin_turn();
      issue_scores(scores);
      wait_v();
      issue_output(output, weights);
      end_turn();
      product_wait<1>();
      pin(scores);
      release_k();
      const bool moved = softmax.add(scores, rescale, c);
      product_wait<0>();
      pin(output);
      pin(scores);
      release_v();
      pack(scores, weights);
      if (moved) {
#pragma unroll
        for (int i = 0; i < C::kHeadSize / 2; ++i) output[i] *= rescale[i / 2 % 2];
      }
    }
  }

  // scores [64, kTileN] = Q Kᵀ
  __device__ __forceinline__ void issue_scores(Scores& scores) {
    const Operand q = summed_contiguous(operand_address(shared_.q) + consumer_ * 64 * kRowBytes);
    const Operand k = summed_contiguous(operand_address(shared_.k[k_ring_.stage]));
    product_fence();
#pragma unroll
    for (int step = 0; step < C::kHeadSize / 16; ++step) {
      const int slab = step / 4, within = step % 4 * 2;
      Product<C::kTileN>::template ss<0, 0>(scores, q + slab * C::kTileM * kRowBytes / 16 + within,
                                            k + slab * C::kTileN * kRowBytes / 16 + within, step > 0);
    }
    product_commit();
  }

  // output [64, D] += weights V
  __device__ __forceinline__ void issue_output(Output& output, const Weights& weights) {
    const Operand v = summed_strided(operand_address(shared_.v[v_ring_.stage]), C::kTileN * kRowBytes);
    product_fence();
#pragma unroll
    for (int step = 0; step < C::kTileN / 16; ++step)
      Product<C::kHeadSize>::template rs<1>(output, weights + 4 * step, v + step * 2 * kRowsOf8 / 16, 1);
    product_commit();
  }

  // Writes those of this thread's rows that are inside the group.
  __device__ __forceinline__ void store(const WorkItem& item, const Output& output, const RowSoftmax& softmax) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int row = consumer_ * 64 + accumulator_row(r);
      const bool valid = row < item.rows;
      const float total = softmax.total(r);
      const int64_t place = static_cast<int64_t>(item.row + row) * to_.heads + item.head;
      if (valid && threadIdx.x % 4 == 0)
        to_.lse[place] = total > 0 ? softmax.max[r] * to_.scale + __logf(total) : -INFINITY;
      store_row(output, r, total > 0 ? 1 / total : 0, valid, to_.output + place * C::kHeadSize);
    }
  }

  __device__ __forceinline__ void wait_q() {
    barrier_wait(&shared_.q_full, q_parity_, 7);
    q_parity_ ^= 1;
  }
  __device__ __forceinline__ void wait_k() { barrier_wait(&shared_.k_full[k_ring_.stage], k_ring_.parity, 8); }
  __device__ __forceinline__ void wait_v() { barrier_wait(&shared_.v_full[v_ring_.stage], v_ring_.parity, 9); }

  __device__ __forceinline__ void release_q() {
    if (threadIdx.x % kWarp == 0) barrier_arrive(&shared_.q_empty);
  }
  __device__ __forceinline__ void release_k() {
    barrier_arrive_of_warp(&shared_.k_empty[k_ring_.stage], threadIdx.x % kWarp);
    k_ring_.advance();
  }
  __device__ __forceinline__ void release_v() {
    barrier_arrive_of_warp(&shared_.v_empty[v_ring_.stage], threadIdx.x % kWarp);
    v_ring_.advance();
  }

  // Named barriers 1, 2, …, one per consumer.
  __device__ __forceinline__ void begin_turn() { named_sync(1 + consumer_, 2 * kWarpgroup); }
  __device__ __forceinline__ void end_turn() {
    named_arrive(consumer_ + 1 < C::kConsumers ? consumer_ + 2 : 1, 2 * kWarpgroup);
  }

  ForwardShared<C>& shared_;
  const ForwardOutput& to_;
  const int consumer_;
  ItemReader items_;
  Ring<C::kStages> k_ring_, v_ring_;
  uint32_t q_parity_ = 0;
};

template <class C>
__global__ void __launch_bounds__(C::kThreads, 1)
    grouped_attention_forward_sm90(const __grid_constant__ ForwardMaps maps, const __grid_constant__ WorkList list,
                                   const __grid_constant__ ForwardOutput to) {
  extern __shared__ __align__(1024) uint8_t dynamic_shared[];
  auto& shared = *reinterpret_cast<ForwardShared<C>*>(dynamic_shared);
  const int warp = __shfl_sync(kAllLanes, threadIdx.x / kWarp, 0);
  if (threadIdx.x == 0) {
    prefetch_map(maps.q);
    prefetch_map(maps.k);
    prefetch_map(maps.v);
    init_barriers<C>(shared);
  }
  __syncthreads();
  if (warp < kWarpgroup / kWarp) {
    shrink_registers<C::kProducerRegisters>();
    if (threadIdx.x == 0) load_tiles<C>(shared, maps);
    if (warp == 1) fill_slots(shared.items, list, C::kTileM);
  } else {
    grow_registers<C::kConsumerRegisters>();
    ForwardConsumer<C>(shared, to).run();
  }
}

}  // namespace moga::kernels
