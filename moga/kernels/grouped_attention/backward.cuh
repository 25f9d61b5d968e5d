// The backward kernel. A persistent CTA takes a tile of 128 keys, iterates over the queries of its group, and writes dK
// and dV once. Its contribution to dQ is added to float32 sums in global memory, which a last kernel converts to bf16.
//
//   Pᵀ = exp(scale · K Qᵀ − lse)   dV = Pᵀ dO   dPᵀ = V dOᵀ   dSᵀ = Pᵀ ∘ (dPᵀ − delta)   dK = dSᵀ Q   dQᵀ += Kᵀ dSᵀ
//
//   producer warpgroup   warp 0 loads tiles, warp 1 takes work items, warps 2 and 3 send out the consumers' dQ
//   consumer warpgroups  64 keys each. Scores are transposed in registers, so that Pᵀ and dSᵀ can be used directly as
//                        operands of dV and dK. dSᵀ also goes to shared memory, because dQ needs the keys of both.
//
// Products overlap arithmetic: dQ of one tile of queries runs during the exponentials of the next, whose scores are
// issued after dV and dK. Queries beyond the group have lse = +inf, so their weights are 0.
#pragma once

#include "moga/kernels/device/barrier.cuh"
#include "moga/kernels/device/tma.cuh"
#include "moga/kernels/device/warp.cuh"
#include "moga/kernels/device/wgmma.cuh"
#include "moga/kernels/grouped_attention/accumulators.cuh"
#include "moga/kernels/grouped_attention/item_slots.cuh"
#include "moga/kernels/grouped_attention/padded_queries.cuh"
#include "moga/kernels/grouped_attention/softmax.cuh"

namespace moga::kernels {

template <int kHeadSize_, int kTileQ_>
struct BackwardConfig {
  static constexpr int kHeadSize = kHeadSize_;
  static constexpr int kTileQ = kTileQ_;  // queries per step
  static constexpr int kTileK = 128;      // keys per CTA, 64 per consumer
  static constexpr int kConsumers = 2;
  static constexpr int kStages = 2;
  static constexpr int kThreads = kWarpgroup * (kConsumers + 1);
  static constexpr int kConsumerWarps = 4 * kConsumers;
  static constexpr int kProducerRegisters = 24;
  static constexpr int kConsumerRegisters = 240;
  static constexpr int kTileBytesQ = kTileQ * kHeadSize * 2;
  static constexpr int kTileBytesK = kTileK * kHeadSize * 2;
  static constexpr int kSlabBytesQ = kTileQ * kRowBytes;
  static constexpr int kSlabBytesK = kTileK * kRowBytes;
  // dQᵀ of a step is two tiles of 64 rows, one per consumer: halves of the head if D = 128, of the queries if D = 64.
  static constexpr int kDqColumns = kTileQ * kHeadSize / 128;
  static constexpr int kDqBytes = 64 * kDqColumns * 4;
  static constexpr int kStatistics = 2 * kTileQ;  // floats per tile: lse and delta
  using Padded = PaddedQueries<kTileQ, kHeadSize>;
};

template <class C>
struct alignas(1024) BackwardShared {
  uint8_t k[C::kTileBytesK], v[C::kTileBytesK];  // [D / 64][128][64] bf16, swizzled, as all bf16 tiles here
  uint8_t q[C::kStages][C::kTileBytesQ];
  uint8_t grad[C::kStages][C::kTileBytesQ];
  uint8_t ds[2][C::kConsumers][C::kSlabBytesQ];               // [queries][64 keys of a consumer]
  uint8_t dq[C::kConsumers][C::kDqBytes];                     // float32, in the order of padded_queries.cuh
  alignas(128) float statistics[C::kStages][C::kStatistics];  // lse · log2 e, then delta
  Barrier kv_full, kv_empty;
  Barrier q_full[C::kStages], grad_full[C::kStages], step_empty[C::kStages];
  Barrier ds_full[2], ds_empty[2];
  Barrier dq_full[C::kConsumers], dq_empty[C::kConsumers];
  ItemSlots<WorkItem> items;
};

struct BackwardMaps {
  CUtensorMap q, grad, k, v;
  CUtensorMap statistics;  // [H · tiles, kStatistics] floats
};

template <class C>
struct BackwardOutput {
  typename C::Padded padded;
  Bfloat16 *dk, *dv;  // [nk, H, D]
  float scale;
};

template <class C>
__device__ __forceinline__ void init_barriers(BackwardShared<C>& shared) {
  barrier_init(&shared.kv_full, 1);
  barrier_init(&shared.kv_empty, C::kConsumerWarps);
  for (int s = 0; s < 2; ++s) {
    barrier_init(&shared.q_full[s], 1);
    barrier_init(&shared.grad_full[s], 1);
    barrier_init(&shared.step_empty[s], C::kConsumerWarps);
    barrier_init(&shared.ds_full[s], C::kConsumerWarps);
    barrier_init(&shared.ds_empty[s], C::kConsumerWarps);
    barrier_init(&shared.dq_full[s], 4);
    barrier_init(&shared.dq_empty[s], 1);
  }
  shared.items.init(C::kConsumerWarps * kWarp + 3);
  barrier_init_fence();
}

// Called by one thread.
template <class C>
__device__ __forceinline__ void load_tiles(BackwardShared<C>& shared, const BackwardMaps& maps,
                                           const typename C::Padded& padded) {
  ItemReader items;
  Ring<C::kStages> ring;
  uint32_t kv_parity = 1;
  while (true) {
    const WorkItem item = items.next(shared.items);
    if (item.head == kNoHead) return;
    const int steps = (item.other_rows + C::kTileQ - 1) / C::kTileQ;
    const int32_t tile = static_cast<int32_t>(padded.place(item.head, padded.first_tile(item.group, item.other_row)));
    for (int step = 0; step < steps; ++step) {
      const int row = item.other_row + step * C::kTileQ;
      barrier_wait(&shared.step_empty[ring.stage], ring.parity ^ 1, 3);
      barrier_arrive_expect(&shared.q_full[ring.stage], C::kTileBytesQ + C::kStatistics * sizeof(float));
      load_box(shared.q[ring.stage], maps.q, &shared.q_full[ring.stage], 0, row, 0, item.head);
      load_box(shared.statistics[ring.stage], maps.statistics, &shared.q_full[ring.stage], 0, tile + step);
      if (step == 0) {
        barrier_wait(&shared.kv_empty, kv_parity, 4);
        kv_parity ^= 1;
        barrier_arrive_expect(&shared.kv_full, 2 * C::kTileBytesK);
        load_box(shared.k, maps.k, &shared.kv_full, 0, item.row, 0, item.head);
        load_box(shared.v, maps.v, &shared.kv_full, 0, item.row, 0, item.head);
      }
      barrier_arrive_expect(&shared.grad_full[ring.stage], C::kTileBytesQ);
      load_box(shared.grad[ring.stage], maps.grad, &shared.grad_full[ring.stage], 0, row, 0, item.head);
      ring.advance();
    }
  }
}

// Called by one thread per consumer: adds the dQ of each step to the sums in global memory. In deterministic mode CTAs
// take turns, in the order of the group's tiles of keys. Items are taken in that order, so the CTA being waited for has
// already started.
template <class C>
__device__ __forceinline__ void send_dq(BackwardShared<C>& shared, int consumer, const typename C::Padded& padded) {
  ItemReader items;
  uint32_t parity = 0;
  while (true) {
    const WorkItem item = items.next(shared.items);
    if (item.head == kNoHead) break;
    const int steps = (item.other_rows + C::kTileQ - 1) / C::kTileQ;
    const int first = padded.first_tile(item.group, item.other_row);
    float* sums = padded.dq(item.head, first) + consumer * (C::kDqBytes / 4);
    int32_t* turn = padded.turns ? padded.turn(item.head, first, consumer) : nullptr;
    for (int step = 0; step < steps; ++step, parity ^= 1) {
      barrier_wait(&shared.dq_full[consumer], parity, 5);
      if (turn) wait_turn(turn + 2 * step, item.tile);
      add_floats(sums + step * (C::kTileQ * C::kHeadSize), shared.dq[consumer], C::kDqBytes);
      barrier_arrive(&shared.dq_empty[consumer]);
      if (turn) pass_turn(turn + 2 * step, item.tile + 1);
    }
  }
  finish_adds();
}

// One consumer warpgroup: registers and operands that live for the whole kernel, and the parts of a step. The
// consumer's number is a template constant, because operands computed from it at run time would need registers that are
// not left.
template <class C, int kConsumer>
class BackwardConsumer {
 public:
  __device__ __forceinline__ BackwardConsumer(BackwardShared<C>& shared, const BackwardOutput<C>& to)
      : shared_(shared), to_(to) {}

  __device__ __forceinline__ void run() {
    while (true) {
      const WorkItem item = items_.next_of_warp(shared_.items);
      if (item.head == kNoHead) return;
      differentiate(item);
    }
  }

 private:
  static constexpr int kScores = C::kTileQ / 2, kHead = C::kHeadSize / 2;  // accumulators per thread
  using Scores = float[kScores];
  using Packed = uint32_t[kScores / 2];
  using Dq = float[C::kDqColumns / 2];

  __device__ __forceinline__ void release(Barrier* barrier) {
    if (threadIdx.x % kWarp == 0) barrier_arrive(barrier);
  }

  // Buffers and parities of a step; steps are counted across items.
  static __device__ __forceinline__ int stage(uint32_t step) { return step % 2; }
  static __device__ __forceinline__ uint32_t parity(uint32_t step) { return step / 2 % 2; }

  __device__ __forceinline__ void differentiate(const WorkItem& item) {
    float dk[kHead] = {}, dv[kHead] = {};
    const int steps = (item.other_rows + C::kTileQ - 1) / C::kTileQ;
    if (steps > 0) {
      Scores scores;
      Packed p, ds;
      Dq dq;
      barrier_wait(&shared_.kv_full, kv_parity_, 7);
      kv_parity_ ^= 1;
      issue_scores_of_step(scores);
      product_wait<0>();
      pin(scores);
      const int valid = item.rows - 64 * kConsumer;  // rows from here on are keys of the next group
#pragma unroll 1
      for (int left = steps - 1; left > 0; --left) {
        step_until_dk_dv(scores, p, ds, dq, dk, dv, valid, left < steps - 1);
        step_ = uniform(step_ + 1);
        issue_scores_of_step(scores);
        product_wait<1>();  // dK, dV
        release(&shared_.step_empty[stage(step_ - 1)]);
        issue_dq(dq, step_ - 1);
        product_wait<1>();  // scores
        pin(scores);
      }
      step_until_dk_dv(scores, p, ds, dq, dk, dv, valid, steps > 1);
      product_wait<0>();
      pin(dk);
      pin(dv);
      release(&shared_.step_empty[stage(step_)]);
      step_ = uniform(step_ + 1);
      issue_dq(dq, step_ - 1);
      product_wait<0>();
      release(&shared_.kv_empty);
      hand_over(dq, step_ - 1);
    }
    store(item, dk, dv);
  }

  // From the scores of this step to dSᵀ in shared memory, with dK and dV in flight. dQ of the previous step is in
  // flight on entry.
  __device__ __forceinline__ void step_until_dk_dv(Scores& scores, Packed& p, Packed& ds, Dq& dq, float (&dk)[kHead],
                                                   float (&dv)[kHead], int valid, bool dq_pending) {
    const float* lse = shared_.statistics[stage(step_)] + accumulator_column();
    const float c = to_.scale * kLog2E;
#pragma unroll
    for (int i = 0; i < kScores; i += 4) {
      const float2 at = *reinterpret_cast<const float2*>(lse + 2 * i);
      scores[i] = exp2_fast(scores[i] * c - at.x);
      scores[i + 1] = exp2_fast(scores[i + 1] * c - at.y);
      scores[i + 2] = exp2_fast(scores[i + 2] * c - at.x);
      scores[i + 3] = exp2_fast(scores[i + 3] * c - at.y);
    }
    if (valid < 64) mask_rows(scores, valid, 0);
    product_wait<0>();
    if (dq_pending) hand_over(dq, step_ - 1);

    float dp[kScores];
    barrier_wait(&shared_.grad_full[stage(step_)], parity(step_), 10);
    issue_scores(dp, shared_.v, shared_.grad[stage(step_)]);
    product_wait<0>();
    pin(dp);
    const float* delta = lse + C::kTileQ;
#pragma unroll
    for (int i = 0; i < kScores; i += 4) {
      const float2 at = *reinterpret_cast<const float2*>(delta + 2 * i);
      dp[i] = scores[i] * (dp[i] - at.x);
      dp[i + 1] = scores[i + 1] * (dp[i + 1] - at.y);
      dp[i + 2] = scores[i + 2] * (dp[i + 2] - at.x);
      dp[i + 3] = scores[i + 3] * (dp[i + 3] - at.y);
    }
    pack(dp, ds);
    write_ds(ds);
    pack(scores, p);
    product_fence();
    issue_sum(dv, p, shared_.grad[stage(step_)]);
    issue_sum(dk, ds, shared_.q[stage(step_)]);
    product_commit();
  }

  __device__ __forceinline__ void issue_scores_of_step(Scores& scores) {
    barrier_wait(&shared_.q_full[stage(step_)], parity(step_), 8);
    issue_scores(scores, shared_.k, shared_.q[stage(step_)]);
  }

  // [64 keys, kTileQ] = a [64 rows of this consumer, D] · b [kTileQ, D]ᵀ
  __device__ __forceinline__ void issue_scores(Scores& scores, const uint8_t* a, const uint8_t* b) {
    const Operand left = summed_contiguous(shared_address(a) + kConsumer * 64 * kRowBytes);
    const Operand right = summed_contiguous(shared_address(b));
    product_fence();
#pragma unroll
    for (int step = 0; step < C::kHeadSize / 16; ++step) {
      const int slab = step / 4, within = step % 4 * 2;
      Product<C::kTileQ>::template ss<0, 0>(scores, left + slab * C::kSlabBytesK / 16 + within,
                                            right + slab * C::kSlabBytesQ / 16 + within, step > 0);
    }
    product_commit();
  }

  // sum [64 keys, D] += weights [64 keys, kTileQ] · rows [kTileQ, D]
  __device__ __forceinline__ void issue_sum(float (&sum)[kHead], const Packed& weights, const uint8_t* rows) {
    const Operand right = summed_strided(shared_address(rows), C::kSlabBytesQ);
#pragma unroll
    for (int step = 0; step < C::kTileQ / 16; ++step)
      Product<C::kHeadSize>::template rs<1>(sum, weights + 4 * step, right + step * 2 * kRowsOf8 / 16, 1);
  }

  // This consumer's tile of dQᵀ = Kᵀ dSᵀ over all 128 keys, once both consumers have stored dSᵀ.
  __device__ __forceinline__ void issue_dq(Dq& dq, uint32_t step) {
    barrier_wait(&shared_.ds_full[stage(step)], parity(step), 11);
    const bool split_head = C::kHeadSize == 128;
    const Operand left =
        summed_strided(shared_address(shared_.k) + (split_head ? kConsumer * C::kSlabBytesK : 0), C::kSlabBytesK);
    const Operand right = summed_contiguous(shared_address(shared_.ds[stage(step)]) +
                                            (split_head ? 0 : kConsumer * C::kDqColumns * kRowBytes));
    product_fence();
#pragma unroll
    for (int k = 0; k < C::kTileK / 16; ++k) {
      const int slab = k / 4, within = k % 4 * 2;
      Product<C::kDqColumns>::template ss<1, 0>(dq, left + k * 2 * kRowsOf8 / 16,
                                                right + slab * C::kSlabBytesQ / 16 + within, k > 0);
    }
    product_commit();
  }

  // Stores dSᵀ as [queries][keys], an operand of dQ whose summed dimension, the keys, is contiguous.
  __device__ __forceinline__ void write_ds(const Packed& ds) {
    barrier_wait(&shared_.ds_empty[stage(step_)], parity(step_) ^ 1, 12);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x % kWarpgroup / kWarp;
    const int row = lane % 8 + lane / 16 * 8, chunk = 2 * warp + lane / 8 % 2;
    const uint32_t address =
        shared_address(shared_.ds[stage(step_)][kConsumer]) + row * kRowBytes + (chunk ^ (lane % 8)) * 16;
#pragma unroll
    for (int i = 0; i < kScores / 2; i += 4)  // 16 queries
      store_transposed(address + i / 4 * 16 * kRowBytes, ds[i], ds[i + 1], ds[i + 2], ds[i + 3]);
    publish_shared();
    __syncwarp();
    release(&shared_.ds_full[stage(step_)]);
  }

  // Writes dQ of a finished product to shared memory for send_dq.
  __device__ __forceinline__ void hand_over(Dq& dq, uint32_t step) {
    pin(dq);
    release(&shared_.ds_empty[stage(step)]);
    barrier_wait(&shared_.dq_empty[kConsumer], step % 2 ^ 1, 13);
    auto* to = reinterpret_cast<float4*>(shared_.dq[kConsumer]) + threadIdx.x % kWarpgroup;
#pragma unroll
    for (int i = 0; i < C::kDqColumns / 2; i += 4)
      to[i / 4 * kWarpgroup] = make_float4(dq[i], dq[i + 1], dq[i + 2], dq[i + 3]);
    publish_shared();
    __syncwarp();
    release(&shared_.dq_full[kConsumer]);
  }

  __device__ __forceinline__ void store(const WorkItem& item, const float (&dk)[kHead], const float (&dv)[kHead]) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int row = 64 * kConsumer + accumulator_row(r);
      const int64_t place = (static_cast<int64_t>(item.row + row) * to_.padded.heads + item.head) * C::kHeadSize;
      store_row(dk, r, to_.scale, row < item.rows, to_.dk + place);
      store_row(dv, r, 1, row < item.rows, to_.dv + place);
    }
  }

  BackwardShared<C>& shared_;
  const BackwardOutput<C>& to_;
  ItemReader items_;
  uint32_t kv_parity_ = 0;
  uint32_t step_ = 0;
};

template <class C>
__global__ void __launch_bounds__(C::kThreads, 1)
    grouped_attention_backward_sm90(const __grid_constant__ BackwardMaps maps, const __grid_constant__ WorkList list,
                                    const __grid_constant__ BackwardOutput<C> to) {
  extern __shared__ __align__(1024) uint8_t dynamic_shared[];
  auto& shared = *reinterpret_cast<BackwardShared<C>*>(dynamic_shared);
  const int warp = __shfl_sync(kAllLanes, threadIdx.x / kWarp, 0);
  if (threadIdx.x == 0) init_barriers<C>(shared);
  __syncthreads();
  if (warp < kWarpgroup / kWarp) {
    shrink_registers<C::kProducerRegisters>();
    if (threadIdx.x == 0) load_tiles<C>(shared, maps, to.padded);
    if (threadIdx.x / kWarp == 1) fill_slots(shared.items, list, C::kTileK);
    if (threadIdx.x >= 2 * kWarp && threadIdx.x % kWarp == 0) send_dq<C>(shared, threadIdx.x / kWarp - 2, to.padded);
  } else {
    grow_registers<C::kConsumerRegisters>();
    if (warp < 2 * kWarpgroup / kWarp)
      BackwardConsumer<C, 0>(shared, to).run();
    else
      BackwardConsumer<C, 1>(shared, to).run();
  }
}

}  // namespace moga::kernels
