// Warpgroup matrix products of Hopper: D[64, N] (+)= A[64, 16] B[16, N], bf16 in, float32 accumulators in registers.
//
//   accumulator d[4j + 2r + c] of a thread: row 16·warp + lane/4 + 8r, column 8j + 2·(lane % 4) + c
//   A in registers, one k-step: a[2h + r] holds columns 8h + 2·(lane % 4) + {0, 1} of row 16·warp + lane/4 + 8r,
//   so that accumulators packed pairwise to bf16 are, in order, the A operand of the next product
//
// Operands in shared memory are slabs of 64 columns: rows of 128 bytes with the 128-byte swizzle, as the copy engine
// writes them. Slabs start at multiples of 1,024 bytes. Products are asynchronous: the registers they read or write
// must not be touched between product_fence … product_commit and the product_wait that covers them.
#pragma once

#include <cstdint>

namespace moga::kernels {

__device__ __forceinline__ void product_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ __forceinline__ void product_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Waits until at most kPending committed batches are in flight.
template <int kPending>
__device__ __forceinline__ void product_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// Keeps the compiler from moving arithmetic on a product's registers above the preceding wait.
template <int kCount>
__device__ __forceinline__ void pin(float (&values)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(values[i])::"memory");
}

inline constexpr int kRowBytes = 128;           // a row of a slab
inline constexpr int kRowsOf8 = 8 * kRowBytes;  // the swizzle's period
inline constexpr int kSlabColumns = 64;

// An operand in shared memory: its descriptor, with address, leading and stride offsets in units of 16 bytes.
using Operand = uint64_t;
inline constexpr Operand kSwizzle128 = Operand{1} << 62;
inline constexpr Operand kStrideOf8Rows = Operand{kRowsOf8 / 16} << 32;

// A shared-memory address truncated to the 18 bits of a descriptor. The compiler then knows that adding k-steps does
// not carry, and adds them as constants.
__device__ __forceinline__ uint32_t operand_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer)) & 0x3ffff;
}

// Operand whose contiguous dimension is the summed one: k-step s of a slab is at offset 2s.
__device__ __forceinline__ Operand summed_contiguous(uint32_t address) {
  return kSwizzle128 | kStrideOf8Rows | (1u << 16 | address / 16);
}

// Operand whose summed dimension is the slab's rows ("transposed"): k-step s is at offset 128s. Columns beyond 64
// continue in the next slab, `slab_bytes` further on.
__device__ __forceinline__ Operand summed_strided(uint32_t address, uint32_t slab_bytes) {
  return kSwizzle128 | kStrideOf8Rows | (slab_bytes / 16 << 16 | address / 16);
}

// Operand of core matrices (8 rows × 16 bytes, contiguous) at any multiples of 16 bytes, without swizzle: `lead` bytes
// from one to its neighbour in the summed dimension, `stride` bytes to the next 8 rows. (For swizzled operands `lead`
// has another meaning.)
__device__ __forceinline__ Operand core_matrices(uint32_t address, uint32_t lead, uint32_t stride) {
  return Operand{stride / 16} << 32 | (lead / 16 << 16 | address / 16);
}

// Operand of rows of 64 bytes (32 columns) with the 64-byte swizzle, whose contiguous dimension is the summed one: 8
// consecutive rows, `stride` bytes to the next 8; k-step s is at offset 2s.
inline constexpr Operand kSwizzle64 = Operand{2} << 62;
__device__ __forceinline__ Operand narrow_rows(uint32_t address, uint32_t stride) {
  return kSwizzle64 | Operand{stride / 16} << 32 | (1u << 16 | address / 16);
}

// One k-step of a product. ss: A and B in shared memory; rs: A in registers. kStridedA, kStridedB: the operand is a
// summed_strided one. accumulate = 0 overwrites d.
template <int kN>
struct Product;

#define MOGA_10_NAMES(t) "%" #t "0,%" #t "1,%" #t "2,%" #t "3,%" #t "4,%" #t "5,%" #t "6,%" #t "7,%" #t "8,%" #t "9"
#define MOGA_10_FLOATS(t)                                                                                  \
  "+f"(d[t##0]), "+f"(d[t##1]), "+f"(d[t##2]), "+f"(d[t##3]), "+f"(d[t##4]), "+f"(d[t##5]), "+f"(d[t##6]), \
      "+f"(d[t##7]), "+f"(d[t##8]), "+f"(d[t##9])
#define MOGA_2_FLOATS(i, j) "+f"(d[i]), "+f"(d[j])

#define MOGA_4_NAMES "%0,%1,%2,%3"
#define MOGA_4_FLOATS MOGA_2_FLOATS(0, 1), MOGA_2_FLOATS(2, 3)
#define MOGA_32_NAMES MOGA_10_NAMES() "," MOGA_10_NAMES(1) "," MOGA_10_NAMES(2) ",%30,%31"
#define MOGA_32_FLOATS MOGA_10_FLOATS(), MOGA_10_FLOATS(1), MOGA_10_FLOATS(2), MOGA_2_FLOATS(30, 31)
#define MOGA_40_NAMES MOGA_10_NAMES() "," MOGA_10_NAMES(1) "," MOGA_10_NAMES(2) "," MOGA_10_NAMES(3)
#define MOGA_40_FLOATS MOGA_10_FLOATS(), MOGA_10_FLOATS(1), MOGA_10_FLOATS(2), MOGA_10_FLOATS(3)
#define MOGA_48_NAMES MOGA_40_NAMES ",%40,%41,%42,%43,%44,%45,%46,%47"
#define MOGA_48_FLOATS \
  MOGA_40_FLOATS, MOGA_2_FLOATS(40, 41), MOGA_2_FLOATS(42, 43), MOGA_2_FLOATS(44, 45), MOGA_2_FLOATS(46, 47)
#define MOGA_60_NAMES MOGA_40_NAMES "," MOGA_10_NAMES(4) "," MOGA_10_NAMES(5)
#define MOGA_60_FLOATS MOGA_40_FLOATS, MOGA_10_FLOATS(4), MOGA_10_FLOATS(5)
#define MOGA_64_NAMES MOGA_60_NAMES ",%60,%61,%62,%63"
#define MOGA_64_FLOATS MOGA_60_FLOATS, MOGA_2_FLOATS(60, 61), MOGA_2_FLOATS(62, 63)
#define MOGA_80_NAMES MOGA_60_NAMES "," MOGA_10_NAMES(6) "," MOGA_10_NAMES(7)
#define MOGA_80_FLOATS MOGA_60_FLOATS, MOGA_10_FLOATS(6), MOGA_10_FLOATS(7)
#define MOGA_88_NAMES MOGA_80_NAMES ",%80,%81,%82,%83,%84,%85,%86,%87"
#define MOGA_88_FLOATS \
  MOGA_80_FLOATS, MOGA_2_FLOATS(80, 81), MOGA_2_FLOATS(82, 83), MOGA_2_FLOATS(84, 85), MOGA_2_FLOATS(86, 87)

// p0 … p6: the asm operands after the accumulators.
#define MOGA_PRODUCT(n, count, p0, p1, p2, p3, p4, p5, p6)                                                       \
  template <>                                                                                                    \
  struct Product<n> {                                                                                            \
    template <int kStridedA, int kStridedB>                                                                      \
    static __device__ __forceinline__ void ss(float (&d)[count], Operand a, Operand b, int accumulate) {         \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " p2                                                        \
                   ", 0;\n"                                                                                      \
                   "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" MOGA_##count##_NAMES             \
                   "}, " p0 ", " p1 ", p, 1, 1, " p3 ", " p4 ";\n}"                                              \
                   : MOGA_##count##_FLOATS                                                                       \
                   : "l"(a), "l"(b), "r"(accumulate), "n"(kStridedA), "n"(kStridedB));                           \
    }                                                                                                            \
    template <int kStridedB>                                                                                     \
    static __device__ __forceinline__ void rs(float (&d)[count], const uint32_t* a, Operand b, int accumulate) { \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " p5                                                        \
                   ", 0;\n"                                                                                      \
                   "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" MOGA_##count##_NAMES             \
                   "}, {" p0 ", " p1 ", " p2 ", " p3 "}, " p4 ", p, 1, 1, " p6 ";\n}"                            \
                   : MOGA_##count##_FLOATS                                                                       \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate), "n"(kStridedB));       \
    }                                                                                                            \
  };

MOGA_PRODUCT(8, 4, "%4", "%5", "%6", "%7", "%8", "%9", "%10")
MOGA_PRODUCT(64, 32, "%32", "%33", "%34", "%35", "%36", "%37", "%38")
MOGA_PRODUCT(80, 40, "%40", "%41", "%42", "%43", "%44", "%45", "%46")
MOGA_PRODUCT(96, 48, "%48", "%49", "%50", "%51", "%52", "%53", "%54")
MOGA_PRODUCT(128, 64, "%64", "%65", "%66", "%67", "%68", "%69", "%70")
MOGA_PRODUCT(176, 88, "%88", "%89", "%90", "%91", "%92", "%93", "%94")

#undef MOGA_PRODUCT

}  // namespace moga::kernels
