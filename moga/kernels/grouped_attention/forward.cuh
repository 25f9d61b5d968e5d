// The forward kernel: a persistent CTA takes tiles of query rows, walks the keys of their group from the last tile to
// the first, and writes output and lse once.
//
//   producer warpgroup  warp 0 copies Q, K and V tiles to shared memory, warp 1 takes work items one ahead
//   consumer warpgroups 64 query rows each; scores of tile n, then, while those are made into weights, nothing of their
//                       own: the product of tile n + 1's weights with V and the other consumer's products run meanwhile
//
// Consumers take turns to issue products (named barriers), so that one's softmax lies under the other's products.
// Rows of the next group that a tile of keys reaches into are masked; rows of queries there are computed, not stored.
#pragma once

#include "moga/kernels/device/barrier.cuh"
#include "moga/kernels/device/cluster.cuh"
#include "moga/kernels/device/tma.cuh"
#include "moga/kernels/device/warp.cuh"
#include "moga/kernels/device/wgmma.cuh"
#include "moga/kernels/grouped_attention/accumulators.cuh"
#include "moga/kernels/grouped_attention/softmax.cuh"
#include "moga/kernels/grouped_attention/work_list.cuh"

namespace moga::kernels {

template <int kHeadSize_, int kConsumers_, int kTileN_, int kStages_, int kCluster_ = 1, bool kTakeTurns_ = true,
          int kSlack_ = 0>
struct ForwardConfig {
  static constexpr int kHeadSize = kHeadSize_;
  static constexpr int kConsumers = kConsumers_;
  static constexpr int kTileM = 64 * kConsumers;  // query rows of a CTA
  static constexpr int kTileN = kTileN_;          // keys of a tile
  static constexpr int kStages = kStages_;        // tiles of K, and of V, in shared memory
  static constexpr int kCluster = kCluster_;      // CTAs that share the tiles of K and V, a slab from each
  static constexpr bool kTakeTurns = kTakeTurns_;
  static constexpr int kSlack = kSlack_;
  static constexpr int kThreads = kWarpgroup * (kConsumers + 1);
  static constexpr int kConsumerWarps = 4 * kConsumers;
  static constexpr int kProducerRegisters = kConsumers == 2 ? 24 : 32;
  static constexpr int kConsumerRegisters = kConsumers == 2 ? 240 : 160;
  static constexpr int kItemRows = kTileM * kCluster;
  static constexpr int kSlabsKV = kHeadSize / kSlabColumns / kCluster;  // that a CTA fetches
  static constexpr int kTileBytesQ = kTileM * kHeadSize * 2;
  static constexpr int kTileBytesKV = kTileN * kHeadSize * 2;
};

inline constexpr int kItemSlots = 2;  // the item at work and the next

template <class C>
struct alignas(1024) ForwardShared {
  uint8_t q[C::kTileBytesQ];  // [D / 64][kTileM][64] bf16, swizzled
  uint8_t k[C::kStages][C::kTileBytesKV];
  uint8_t v[C::kStages][C::kTileBytesKV];
  Barrier q_full, q_empty;
  Barrier k_full[C::kStages], k_empty[C::kStages], v_full[C::kStages], v_empty[C::kStages];
  Barrier item_full[kItemSlots], item_empty[kItemSlots];
  alignas(16) WorkItem items[kItemSlots];
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
    barrier_init(&shared.k_empty[s], C::kConsumerWarps * C::kCluster);
    barrier_init(&shared.v_empty[s], C::kConsumerWarps * C::kCluster);
  }
  for (int s = 0; s < kItemSlots; ++s) {
    barrier_init(&shared.item_full[s], 1);
    barrier_init(&shared.item_empty[s], (C::kConsumerWarps + 1) * C::kCluster);
  }
  barrier_init_fence();
}

// One whole warp of the cluster's first CTA: takes items until the list ends, and hands all, the end too, to every CTA.
template <class C>
__device__ __forceinline__ void schedule(ForwardShared<C>& shared, const WorkList& list) {
  WorkTaker taker(list, C::kItemRows);
  Ring<kItemSlots> slot;
  while (true) {
    barrier_wait(&shared.item_empty[slot.stage], slot.parity ^ 1, 1);
    const WorkItem item = taker.take();
    const int lane = threadIdx.x % kWarp;
    if (lane < C::kCluster) send_item(item, shared.items[slot.stage], &shared.item_full[slot.stage], lane);
    if (item.head == kNoHead) return;
    slot.advance();
  }
}

// Called by one thread: this CTA's Q, and its slabs of K and V for the whole cluster.
template <class C>
__device__ __forceinline__ void load_tiles(ForwardShared<C>& shared, const ForwardMaps& maps) {
  constexpr uint32_t kBytes = C::kTileBytesKV;
  const int rank = C::kCluster == 1 ? 0 : cluster_rank();
  const int slab = rank * C::kSlabsKV;
  Ring<kItemSlots> slot;
  Ring<C::kStages> k_ring, v_ring;
  uint32_t q_parity = 1;
  const auto load = [&](const CUtensorMap& map, uint8_t* tile, Barrier* full, int row, int head) {
    barrier_arrive_expect(full, kBytes);
    uint8_t* to = tile + slab * C::kTileN * kRowBytes;
    if constexpr (C::kCluster == 1)
      load_box(to, map, full, 0, row, slab, head);
    else
      load_box_to((1 << C::kCluster) - 1, to, map, full, 0, row, slab, head);
  };
  while (true) {
    barrier_wait(&shared.item_full[slot.stage], slot.parity, 2);
    const WorkItem item = shared.items[slot.stage];
    barrier_arrive_at(&shared.item_empty[slot.stage], 0);
    slot.advance();
    if (item.head == kNoHead) return;
    if (item.other_rows == 0) continue;
    const auto load_k = [&](int tile) {
      barrier_wait(&shared.k_empty[k_ring.stage], k_ring.parity ^ 1, 3);
      load(maps.k, shared.k[k_ring.stage], &shared.k_full[k_ring.stage], item.other_row + tile * C::kTileN, item.head);
      k_ring.advance();
    };
    const auto load_v = [&](int tile) {
      barrier_wait(&shared.v_empty[v_ring.stage], v_ring.parity ^ 1, 4);
      load(maps.v, shared.v[v_ring.stage], &shared.v_full[v_ring.stage], item.other_row + tile * C::kTileN, item.head);
      v_ring.advance();
    };
    const int last = (item.other_rows - 1) / C::kTileN;
    load_k(last);
    barrier_wait(&shared.q_empty, q_parity, 5);
    q_parity ^= 1;
    barrier_arrive_expect(&shared.q_full, C::kTileBytesQ);
    load_box(shared.q, maps.q, &shared.q_full, 0, item.row + rank * C::kTileM, 0, item.head);
    for (int tile = last - 1; tile >= 0; --tile) {
      load_k(tile);
      load_v(tile + 1);
    }
    load_v(0);
  }
}

// scores [64, kTileN] = Q Kᵀ
template <class C>
__device__ __forceinline__ void issue_scores(float (&scores)[C::kTileN / 2], Operand q, Operand k) {
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
template <class C>
__device__ __forceinline__ void issue_output(float (&output)[C::kHeadSize / 2],
                                             const uint32_t (&weights)[C::kTileN / 4], Operand v) {
  product_fence();
#pragma unroll
  for (int step = 0; step < C::kTileN / 16; ++step)
    Product<C::kHeadSize>::template rs<1>(output, weights + 4 * step, v + step * 2 * kRowsOf8 / 16, 1);
  product_commit();
}

// Writes this thread's rows of the tile that lie inside the group.
template <class C>
__device__ __forceinline__ void store_tile(const float (&output)[C::kHeadSize / 2], const RowSoftmax& softmax,
                                           int first_row, const WorkItem& item, const ForwardOutput& to) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = first_row + accumulator_row(r);
    const bool valid = row < item.rows;
    const float total = softmax.total(r);
    const int64_t place = static_cast<int64_t>(item.row + row) * to.heads + item.head;
    if (valid && threadIdx.x % 4 == 0)
      to.lse[place] = total > 0 ? softmax.max[r] * to.scale + __logf(total) : -INFINITY;
    store_row(output, r, total > 0 ? 1 / total : 0, valid, to.output + place * C::kHeadSize);
  }
}

// One consumer warpgroup.
template <class C>
__device__ __forceinline__ void attend(ForwardShared<C>& shared, const ForwardOutput& to) {
  constexpr int kTurn = 1;  // first of the named barriers, one a consumer
  const int consumer = __shfl_sync(kAllLanes, threadIdx.x / kWarpgroup - 1, 0);
  const bool leader = threadIdx.x % kWarp == 0;
  const auto release = [&](Barrier* barrier) {
    if (leader) barrier_arrive(barrier);
  };
  const auto release_in_cluster = [&](Barrier* barrier) {  // in every CTA that writes to it
    if constexpr (C::kCluster == 1)
      release(barrier);
    else if (threadIdx.x % kWarp < C::kCluster)
      barrier_arrive_at(barrier, threadIdx.x % kWarp);
  };
  const auto begin_turn = [&] {
    if constexpr (C::kTakeTurns) named_sync(kTurn + consumer, 2 * kWarpgroup);
  };
  const auto end_turn = [&] {
    if constexpr (C::kTakeTurns)
      named_arrive(kTurn + (consumer + 1 < C::kConsumers ? consumer + 1 : 0), 2 * kWarpgroup);
  };
  const auto k_operand = [&](int stage) { return summed_contiguous(shared_address(shared.k[stage])); };
  const auto v_operand = [&](int stage) {
    return summed_strided(shared_address(shared.v[stage]), C::kTileN * kRowBytes);
  };
  const Operand q = summed_contiguous(shared_address(shared.q) + consumer * 64 * kRowBytes);
  const float c = to.scale * kLog2E;
  const int first_row = (C::kCluster == 1 ? 0 : cluster_rank() * C::kTileM) + consumer * 64;  // of an item

  Ring<kItemSlots> slot;
  Ring<C::kStages> k_ring, v_ring;
  uint32_t q_parity = 0;
  if (consumer == C::kConsumers - 1) end_turn();  // the first turn is consumer 0's
  while (true) {
    barrier_wait(&shared.item_full[slot.stage], slot.parity, 6);
    const WorkItem item = shared.items[slot.stage];
    __syncwarp();
    if (leader) barrier_arrive_at(&shared.item_empty[slot.stage], 0);
    slot.advance();
    if (item.head == kNoHead) return;

    float scores[C::kTileN / 2], output[C::kHeadSize / 2] = {}, rescale[2];
    uint32_t weights[C::kTileN / 4];
    RowSoftmax softmax;
    if (item.other_rows > 0) {
      const int last = (item.other_rows - 1) / C::kTileN;
      barrier_wait(&shared.q_full, q_parity, 7);
      q_parity ^= 1;
      barrier_wait(&shared.k_full[k_ring.stage], k_ring.parity, 8);
      issue_scores<C>(scores, q, k_operand(k_ring.stage));
      product_wait<0>();
      pin(scores);
      release_in_cluster(&shared.k_empty[k_ring.stage]);
      k_ring.advance();
      mask_columns(scores, item.other_rows - last * C::kTileN, -INFINITY);
      softmax.template add<C::kSlack>(scores, rescale, c);
      pack(scores, weights);
#pragma unroll 1
      for (int tile = last - 1; tile >= 0; --tile) {
        barrier_wait(&shared.k_full[k_ring.stage], k_ring.parity, 9);
        begin_turn();
        issue_scores<C>(scores, q, k_operand(k_ring.stage));
        barrier_wait(&shared.v_full[v_ring.stage], v_ring.parity, 10);
        issue_output<C>(output, weights, v_operand(v_ring.stage));
        end_turn();
        product_wait<1>();
        pin(scores);
        release_in_cluster(&shared.k_empty[k_ring.stage]);
        k_ring.advance();
        const bool moved = softmax.template add<C::kSlack>(scores, rescale, c);
        product_wait<0>();
        pin(output);
        pin(scores);
        release_in_cluster(&shared.v_empty[v_ring.stage]);
        v_ring.advance();
        pack(scores, weights);
        if (moved) {
#pragma unroll
          for (int i = 0; i < C::kHeadSize / 2; ++i) output[i] *= rescale[i / 2 % 2];
        }
      }
      release(&shared.q_empty);
      barrier_wait(&shared.v_full[v_ring.stage], v_ring.parity, 11);
      issue_output<C>(output, weights, v_operand(v_ring.stage));
      product_wait<0>();
      pin(output);
      release_in_cluster(&shared.v_empty[v_ring.stage]);
      v_ring.advance();
    }
    store_tile<C>(output, softmax, first_row, item, to);
  }
}

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
  C::kCluster == 1 ? __syncthreads() : cluster_sync();
  if (warp < kWarpgroup / kWarp) {
    shrink_registers<C::kProducerRegisters>();
    if (warp == 0 && threadIdx.x == 0) load_tiles<C>(shared, maps);
    if (warp == 1 && (C::kCluster == 1 || cluster_rank() == 0)) schedule<C>(shared, list);
  } else {
    grow_registers<C::kConsumerRegisters>();
    attend<C>(shared, to);
  }
  if constexpr (C::kCluster > 1) cluster_sync();  // the others may still write to this CTA
}

}  // namespace moga::kernels
